#!/bin/sh
# docker as a simulated instance has it: it reads what the lab's Docker keeps in files, and asks the lab for deeds.
root=${0%/bin/*}
state=$root/run/lab
containers=$state/docker/containers
names=$state/docker/names
nl='
'

not_simulated() {
  echo "lab docker: not simulated: docker $*" >&2
  exit 64
}

# find_container NAME_OR_ID: prints the container's directory.
find_container() {
  wanted=${1#/}
  if [ -d "$names/$wanted" ]; then
    echo "$names/$wanted"
    return 0
  fi
  for candidate in "$containers/$wanted"*; do
    if [ -n "$wanted" ] && [ -d "$candidate" ]; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

inspect() {
  out='' missing='' separator="[$nl"
  for arg; do
    case $arg in
      --type=container | container) continue ;;
      -*) not_simulated inspect "$@" ;;
    esac
    if directory=$(find_container "$arg") && object=$(cat "$directory/inspect.json" 2>/dev/null); then
      out=$out$separator$object
      separator=",$nl"
    else
      missing="${missing}Error: No such object: $arg$nl"
    fi
  done
  if [ -n "$out" ]; then printf '%s\n]\n' "$out"; else echo '[]'; fi
  [ -z "$missing" ] && return 0
  printf '%s' "$missing" >&2
  return 1
}

# Rows are: full id, name, image, state, task ARN (or nothing), separated by tabs.
ps() {
  all=0 quiet=0 truncate=1 format='' label='' name='' id=''
  while [ $# -gt 0 ]; do
    case $1 in
      -a | --all) all=1 ;;
      -q | --quiet) quiet=1 ;;
      -aq | -qa) all=1 quiet=1 ;;
      --no-trunc) truncate=0 ;;
      --format) format=$2 && shift ;;
      --format=*) format=${1#*=} ;;
      -f | --filter) filter=$2 && shift && ps_filter "$filter" ;;
      --filter=*) ps_filter "${1#*=}" ;;
      *) not_simulated ps "$@" ;;
    esac
    shift
  done
  case $format in
    '{{.ID}}') column=1 ;;
    '{{.Names}}') column=2 ;;
    '{{.Image}}') column=3 ;;
    '{{.State}}') column=4 ;;
    '{{.Label "com.amazonaws.ecs.task-arn"}}') column=5 ;;
    '') [ "$quiet" = 1 ] || not_simulated 'ps without --format' && column=1 ;;
    *) not_simulated "ps --format $format" ;;
  esac
  cat "$containers"/*/row 2>/dev/null | awk -F '\t' -v all="$all" -v column="$column" -v label="$label" \
    -v name="$name" -v id="$id" -v truncate="$truncate" '
      (all == 1 || $4 == "running") && (label == "" || $5 != "") && (name == "" || index($2, name)) &&
      (id == "" || index($1, id) == 1) { print (column == 1 && truncate == 1) ? substr($1, 1, 12) : $column }'
}

ps_filter() {
  case $1 in
    label=com.amazonaws.ecs.task-arn) label=1 ;;
    name=*) name=${1#name=} && name=${name#^} && name=${name#/} && name=${name%$} ;;
    id=*) id=${1#id=} ;;
    status=running) ;;
    *) not_simulated "ps --filter $1" ;;
  esac
}

logs() {
  since='' tail='' container=''
  while [ $# -gt 0 ]; do
    case $1 in
      --since) since=$2 && shift ;;
      --since=*) since=${1#*=} ;;
      -n | --tail) tail=$2 && shift ;;
      --tail=*) tail=${1#*=} ;;
      -*) not_simulated logs "$@" ;;
      *) container=$1 ;;
    esac
    shift
  done
  if ! directory=$(find_container "$container"); then
    echo "Error: No such container: $container" >&2
    return 1
  fi
  since=$(log_since "$since") || not_simulated "logs --since $since"
  awk -v since="$since" '
    match($0, / time=[^ ]+/) { at = substr($0, RSTART + 6, 19) }
    since == "" || at >= since { print }' "$directory/log" | tail -n "${tail:-+1}"
}

# log_since WHEN: an RFC 3339 time, seconds since the epoch or a duration, as the time that log lines carry.
log_since() {
  case $1 in
    '') ;;
    ????-??-??T??:??:??*Z) printf '%.19s\n' "$1" ;;
    *[0-9]s) date -u -d "-${1%s} seconds" +%Y-%m-%dT%H:%M:%S ;;
    *[0-9]m) date -u -d "-${1%m} minutes" +%Y-%m-%dT%H:%M:%S ;;
    *[0-9]h) date -u -d "-${1%h} hours" +%Y-%m-%dT%H:%M:%S ;;
    *[!0-9.]*) echo "$1" && return 1 ;;
    *) date -u -d "@$1" +%Y-%m-%dT%H:%M:%S ;;
  esac
}

ask_lab() {
  reply=$({ for field; do printf '%s\0' "$field"; done; } |
    curl -q -sS --noproxy '*' --data-binary @- "$(cat "$state/control")/docker") || exit 1
  text=${reply#*"$nl"}
  code=${reply%%"$nl"*}
  [ -z "$text" ] || if [ "$code" = 0 ]; then echo "$text"; else echo "$text" >&2; fi
  exit "$code"
}

if [ -e "$state/docker.down" ]; then
  echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2
  exit 1
fi
[ $# -gt 0 ] || not_simulated
verb=$1
shift
[ "$verb" != container ] || { verb=$1 && shift; }
case $verb in
  inspect) inspect "$@" ;;
  ps | ls) ps "$@" ;;
  logs) logs "$@" ;;
  stop | restart | kill | start) ask_lab "$verb" "$@" ;;
  version) case "$*" in '--format {{.Server.Version}}' | '-f {{.Server.Version}}' | '--format={{.Server.Version}}') echo 20.10.24 ;; *) not_simulated version "$@" ;; esac ;;
  info) case "$*" in '--format {{.ServerVersion}}' | '-f {{.ServerVersion}}' | '--format={{.ServerVersion}}') echo 20.10.24 ;; *) not_simulated info "$@" ;; esac ;;
  *) not_simulated "$verb" "$@" ;;
esac
