# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# A login from the instance itself to each registry whose entry changes, before anything is touched.

login_seconds=60 # registries that do not answer do not use up the step's time

# Prints 'registry TAB user:password' for each entry of a value, as json_leaves writes it; nothing if it is malformed.
logins_of() { # type, data
  local path type value name field text users=() words=() names=() n=-1 last=$'\n'
  while IFS=$'\t' read -r path type value; do
    name=${path#/} field=${path##*/}
    name=${name%/*}
    [ "$path" != . ] || break
    if [ "$name" != "$last" ]; then n=$((n + 1)) last=$name names[n]=$name; fi
    case $value in *\\*) printf -v value %b "$value" ;; esac
    case $1:${field,,} in
      docker:username) users[n]=$value ;;
      docker:password) words[n]=$value ;;
      dockercfg:auth)
        text=$(printf '%s' "$value" | base64 -d) || continue
        users[n]=${text%%:*} words[n]=${text#*:}
        ;;
    esac
  done < <(printf '%s\n' "$2" | json_leaves '^/[^/]+/[^/]+$')
  for n in "${!names[@]}"; do
    name=${names[n]//\~1//}
    printf '%s\t%s:%s\n' "${name//\~0/\~}" "${users[n]}" "${words[n]}"
  done
}

verify_logins() { # type, data: 1 with login_reason and a detail when one fails; a refusal counts more than silence
  local line present registry failed=0 until
  tick
  until=$((clock + login_seconds * 100))
  present=$'\n'$(logins_of "$c_env_type" "$c_env_data")$'\n'
  while IFS= read -r line; do
    case $present in *$'\n'"$line"$'\n'*) continue ;; esac
    registry=${line%%$'\t'*}
    log_in "$registry" "${line#*$'\t'}" && continue
    failed=1
    explain "the login to ${registry:0:80} failed"
    tick
    if [ "$login_reason" = login_refused ] || [ "$clock" -ge "$until" ]; then break; fi
  done < <(logins_of "$1" "$2")
  return $failed
}

log_in() { # registry, user:password
  local host=${1#http*://} scheme=https challenge='' answer
  host=${host%%/*}
  login_reason=login_unreachable
  case $host in
    index.docker.io | docker.io) host='registry-1.docker.io' ;;
    localhost | localhost:* | 127.*) scheme=http ;; # the only ones that Docker asks without TLS
  esac
  [[ $host =~ ^[A-Za-z0-9.-]+(:[0-9]+)?$ ]] || return 1
  answer=$(ask_registry "$scheme://$host/v2/" "$2") || return 1
  case ${answer##*$'\n'} in
    2??) return 0 ;;
    401) ;;
    403) login_reason=login_refused; return 1 ;;
    *) return 1 ;;
  esac
  shopt -s nocasematch
  if [[ $answer =~ www-authenticate:\ *bearer\ +([^$'\r\n']+) ]]; then
    challenge=${BASH_REMATCH[1]}
  elif [[ $answer =~ www-authenticate:\ *basic ]]; then
    login_reason=login_refused
  fi
  shopt -u nocasematch
  [ -n "$challenge" ] && ask_for_token "$scheme" "$2" "$challenge"
}

ask_for_token() { # scheme, user:password, challenge
  local realm service='' answer
  [[ $3 =~ realm=\"([^\"]+)\" ]] || return 1
  realm=${BASH_REMATCH[1]}
  if [[ $3 =~ service=\"([A-Za-z0-9._:-]+)\" ]]; then service="?service=${BASH_REMATCH[1]}"; fi
  [[ $realm =~ ^$1://[A-Za-z0-9._:/-]+$ ]] || return 1
  answer=$(ask_registry "$realm$service" "$2") || return 1
  case ${answer##*$'\n'} in 2??) return 0 ;; 400 | 401 | 403) login_reason=login_refused ;; esac
  return 1
}

ask_registry() { # URL, user:password: prints the head and the status; the secret goes through stdin
  local secret=${2//\\/\\\\}
  printf 'user = "%s"\n' "${secret//\"/\\\"}" |
    curl -q -sS --connect-timeout 5 --max-time 15 --basic -K - -o /dev/null -D - -w '\n%{http_code}' "$1"
}
