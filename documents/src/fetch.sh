# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# What can fetch here: a curl that signs (7.75), else the AWS CLI (F77).

find_fetcher() { # sets curl_version and fetcher: curl aws none (F77)
  local text
  curl_version='' fetcher=none
  text=$(curl -q --version)
  if [[ $text =~ ^curl\ (([0-9]+)\.([0-9]+)[0-9.]*) ]]; then
    curl_version=${BASH_REMATCH[1]}
    if [ "${BASH_REMATCH[2]}" -gt 7 ] || { [ "${BASH_REMATCH[2]}" -eq 7 ] && [ "${BASH_REMATCH[3]}" -ge 75 ]; }; then
      fetcher=curl
      return
    fi
  fi
  if has aws; then fetcher=aws; fi
}
