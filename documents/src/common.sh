# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# Ground rules of every script: no secret in argv, in an exported variable, in a here-document or on stdout.

set +x +a +e +u
set -o pipefail
umask 077
PATH="${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LC_ALL=C # bytes, not characters; also the language of the messages that are read below
export PATH LC_ALL
unset IFS BASH_ENV ENV CDPATH GREP_OPTIONS

# Only result lines reach stdout (F59), through descriptor 3; stderr is for nobody until a log is open.
exec 3>&1 </dev/null >/dev/null 2>&1

log_to=
say() { # words for the log, never a value
  [ -n "$log_to" ] || return 0
  printf '%(%Y-%m-%dT%H:%M:%SZ)T %s %s %s\n' -1 "$op" "$run_id" "$*" >>"$log_to"
}

# Seconds and hundredths since boot, without a fork: a clock that nobody moves.
clock=0
tick() {
  local up rest
  read -r up rest </proc/uptime
  clock=$((10#${up/./}))
}

epoch() { # sets $now
  printf -v now '%(%s)T' -1
}

# Waiting on a pipe that never speaks costs no process. Where that cannot be had, sleep.
exec 7<> <(:) || exec 7<&-
nap() { # tenths of a second
  local start nothing
  tick
  start=$clock
  read -r -t "$(($1 / 10)).$(($1 % 10))" -u 7 nothing
  tick
  [ $((clock - start)) -ge $(($1 * 5)) ] || sleep "$((($1 + 9) / 10))"
}

# A hanging daemon must not hang us (bash has no timeout of its own for a child).
limited() { # seconds, command...
  local seconds=$1
  shift
  if command -v timeout >/dev/null; then
    timeout "$seconds" "$@"
  else
    "$@"
  fi
}

has() { command -v "$1" >/dev/null; }

missing_tool() { # names; sets $missing to the first that is not there
  missing=
  for missing in "$@"; do has "$missing" || return 0; done
  missing=
  return 1
}

digest() { # the sha256 of stdin, in hex
  local sum
  sum=$(sha256sum) || return
  printf '%s' "${sum%% *}"
}

# --- the result line ---

fields=
quoted() { # sets $quoted: printable ASCII, ready for JSON
  quoted=${1//[^ -~]/?}
  quoted=${quoted//\\/\\\\}
  quoted=${quoted//\"/\\\"}
}
put() { # key, string
  quoted "${2:0:300}"
  fields+=",\"$1\":\"$quoted\""
}
put_plain() { # key, a number or a truth
  fields+=",\"$1\":$2"
}
put_list() { # key, strings...
  local key=$1 list='' item
  shift
  for item in "$@"; do
    quoted "${item:0:200}"
    list+=",\"$quoted\""
  done
  fields+=",\"$key\":[${list:1}]"
}

warnings=()
warn() { # a word, once
  case " ${warnings[*]} " in *" $1 "*) ;; *) warnings+=("$1") ;; esac
}

detail=
explain() { detail=$*; say "$*"; }

# State that every result reports; the files that come later fill it.
fence_seen=0 changed=false
