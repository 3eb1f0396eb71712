#!/bin/sh
# systemctl as a simulated instance has it: states are files that the lab keeps, deeds are asked of the lab.
root=${0%/bin/*}
state=$root/run/lab
units=$state/units
nl='
'

not_simulated() {
  echo "lab systemctl: not simulated: $*" >&2
  exit 64
}

unit_name() {
  case $1 in
    *.*) echo "$1" ;;
    *) echo "$1.service" ;;
  esac
}

# property UNIT NAME: prints its value; units that nobody knows are not-found and inactive.
property() {
  if [ -f "$units/$1" ]; then
    sed -n "s/^$2=//p" "$units/$1"
  else
    case $2 in
      LoadState) echo not-found ;;
      ActiveState) echo inactive ;;
    esac
  fi
}

# has_state WANTED UNIT...: prints each one's state; true when one is WANTED.
has_state() {
  wanted=$1 status=3
  [ "$1" = active ] || status=1
  shift
  for unit; do
    active=$(property "$(unit_name "$unit")" ActiveState)
    [ "$active" != "$wanted" ] || status=0
    [ "$quiet" = 1 ] || echo "$active"
  done
  return "$status"
}

show() {
  for unit; do
    name=$(unit_name "$unit")
    if [ -f "$units/$name" ]; then cat "$units/$name"; else
      printf '%s\n' 'MainPID=0' 'Result=success' 'NRestarts=0' 'ExecMainStatus=0' "Id=$name" 'LoadState=not-found' \
        'ActiveState=inactive' 'SubState=dead' 'UnitFileState='
    fi | awk -F = -v wanted=",$properties," -v value="$value" '
      wanted == ",," || index(wanted, "," $1 ",") { if (value) sub(/^[^=]*=/, ""); print }'
  done
}

deed() {
  verb=$1
  shift
  reply=$({
    printf '%s\0' "$verb" "$no_block"
    for unit; do printf '%s\0' "$(unit_name "$unit")"; done
  } | curl -q -sS --noproxy '*' --data-binary @- "$(cat "$state/control")/unit") || exit 1
  text=${reply#*"$nl"}
  [ -z "$text" ] || echo "$text" >&2
  exit "${reply%%"$nl"*}"
}

quiet=0 no_block=0 value='' properties='' verb='' operands=''
while [ $# -gt 0 ]; do
  case $1 in
    --no-block) no_block=1 ;;
    -q | --quiet) quiet=1 ;;
    --value) value=1 ;;
    -p | --property) properties=$properties,$2 && shift ;;
    --property=*) properties=$properties,${1#*=} ;;
    -p*) properties=$properties,${1#-p} ;;
    --no-pager | --no-legend | --no-ask-password | --full | -l | --system) ;;
    --version) echo 'systemd 252 (252.30-1~deb12u2)' && exit 0 ;;
    -*) not_simulated "$1" ;;
    *) if [ -z "$verb" ]; then verb=$1; else operands="$operands $1"; fi ;;
  esac
  shift
done
properties=${properties#,}
# Unit names hold no blanks and no wildcards that could match here.
set -f
# shellcheck disable=SC2086
set -- $operands
case $verb in
  restart | start | stop | try-restart | reset-failed | kill) deed "$verb" "$@" ;;
  is-active) has_state active "$@" ;;
  is-failed) has_state failed "$@" ;;
  is-enabled) property "$(unit_name "$1")" UnitFileState | grep . ;;
  show) show "$@" ;;
  is-system-running) [ "$quiet" = 1 ] || echo running ;;
  daemon-reload) ;;
  list-unit-files)
    for unit in "${@:-ecs.service}"; do
      unit=$(unit_name "$unit")
      [ ! -f "$root/usr/lib/systemd/system/$unit" ] || echo "$unit enabled enabled"
    done | grep . ;;
  cat)
    for unit; do
      file=$root/usr/lib/systemd/system/$(unit_name "$unit")
      if [ -f "$file" ]; then echo "# $file" && cat "$file"; else
        echo "No files found for $(unit_name "$unit")." >&2
        exit 1
      fi
    done ;;
  *) not_simulated "$verb $*" ;;
esac
