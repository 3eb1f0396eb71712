# shellcheck shell=bash disable=SC2154
# The disabled rule sees one file; variables cross files here. The rendered whole is checked without it.
#
# The same file is the document's script and, copied to the state directory, its watchdog.
if [ "${1:-}" = watchdog ]; then
  watchdog "$2"
  exit 0
fi
"$document_kind"
