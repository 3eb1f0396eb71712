#!/bin/sh
# systemd-run as a simulated instance has it: the lab starts the command, outside the caller's session and group.
root=${0%/bin/*}
state=$root/run/lab
nl='
'
unit='' collect=0 quiet=0 settings=''

not_simulated() {
  echo "lab systemd-run: not simulated: $*" >&2
  exit 64
}

setting() { settings=$settings$1$nl; }

while [ $# -gt 0 ]; do
  case $1 in
    --unit=*) unit=${1#*=} ;;
    --unit | -u) unit=$2 && shift ;;
    -G | --collect) collect=1 ;;
    -q | --quiet) quiet=1 ;;
    -p | --property) setting "$2" && shift ;;
    --property=*) setting "${1#*=}" ;;
    -p*) setting "${1#-p}" ;;
    -E | --setenv) setting "Environment=$2" && shift ;;
    --setenv=*) setting "Environment=${1#*=}" ;;
    --description=* | --slice=* | --service-type=* | --no-block | --no-ask-password | --system) ;;
    --) shift && break ;;
    -*) not_simulated "$1" ;;
    *) break ;;
  esac
  shift
done
[ $# -gt 0 ] || not_simulated 'no command'
reply=$({
  printf '%s\0' "$unit" "$collect" "$settings"
  for arg; do printf '%s\0' "$arg"; done
} | curl -q -sS --noproxy '*' --data-binary @- "$(cat "$state/control")/run") || exit 1
text=${reply#*"$nl"}
code=${reply%%"$nl"*}
if [ "$code" != 0 ] || [ "$quiet" = 0 ]; then echo "$text" >&2; fi
exit "$code"
