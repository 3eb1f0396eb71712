# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# What we keep on the instance, in StateDirectory (0700):
#   lock        held by flock while a script or a winning watchdog works (F60)
#   fence       the largest fence seen
#   marker      what was applied: generation, salt, digest, fence, time, run
#   arming/     a change in preparation: nothing has been touched yet
#   armed/      a change under way. Who renames this folder away owns the change from then on.
#   restoring/  somebody takes the change back; whoever finds it unfinished goes on
#   backup-RUN/ the old state of a change that was proven
#   last        what the watchdog did; script, the watchdog's copy of the script; log
# A change's folder holds: meta, old (the env file's bytes, unless there was none), marker (unless there was none),
# environment and created (docker-run: the old container's pair, the new container's id),
# alive (who guards it; its watchdog holds a lock on it for as long as it lives).

read_fence() {
  local value=
  fence_seen=0
  if [ -f "$state_directory/fence" ]; then read -r value <"$state_directory/fence"; fi
  case $value in '' | *[!0-9]*) ;; *) fence_seen=$((10#$value)) ;; esac
}

read_marker() { # sets marker_*; all empty when there is none
  local key value
  marker_generation='' marker_salt='' marker_digest='' marker_run=''
  [ -f "$state_directory/marker" ] || return 1
  while IFS='=' read -r key value; do
    case $key in
      generation) marker_generation=$value ;;
      salt) marker_salt=$value ;;
      digest) marker_digest=$value ;;
      run) marker_run=$value ;;
    esac
  done <"$state_directory/marker"
}

read_last() {
  local key value
  last_what='' last_run=''
  [ -f "$state_directory/last" ] || return 0
  while IFS='=' read -r key value; do
    case $key in
      what) last_what=$value ;;
      run) last_run=$value ;;
    esac
  done <"$state_directory/last"
}

salted() { # salt, type, data: the digest of the two lines
  printf '%s\n%s\n%s\n' "$1" "$2" "$3" | digest
}

# Marker, file and the running container's environment hold the same two values?
all_agree() {
  [ -n "$marker_digest" ] && [ "$config_state" = regular ] && [ "$container" = present ] && [ "$c_running" = true ] || return 1
  [ -n "$file_type_set$file_data_set" ] || return 1
  [ "$file_type" = "$c_env_type" ] && [ "$file_data" = "$c_env_data" ] || return 1
  [ "$(salted "$marker_salt" "$file_type" "$file_data")" = "$marker_digest" ]
}

# --- a change and its watchdog ---

armed_state() { # sets armed (no living dead) and armed_folder
  local folder
  armed=no armed_folder=
  for folder in "$state_directory/armed" "$state_directory/restoring"; do
    [ -d "$folder" ] || continue
    armed_folder=$folder armed=dead
    if is_alive "$folder"; then armed=living; fi
    return
  done
}

is_alive() { # folder: does a watchdog hold its lock? Opened for reading: looking leaves no trace.
  [ -f "$1/alive" ] || return 1
  ! { flock -n -s 6; } 6<"$1/alive"
}

read_meta() { # folder; sets was_*
  local key value
  was_run='' was_existed='' was_mode='' was_owner='' was_config='' was_salt='' was_text='' was_pair=''
  was_arn='' was_cluster='' was_persistence='' was_tasks=' ' was_method='' was_time=0 was_container='' was_policy=''
  [ -f "$1/meta" ] || return 1
  while IFS='=' read -r key value; do
    case $key in
      run | existed | mode | owner | config | salt | text | pair | arn | cluster | persistence | method | time | container | policy)
        printf -v "was_$key" %s "$value"
        ;;
      task) was_tasks+="$value " ;;
    esac
  done <"$1/meta"
  [ -n "$was_run" ]
}
