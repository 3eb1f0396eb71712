# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# Changing what state.sh describes: lock, marker, backup, the armed state and its end.

backup_life=604800 # seconds: the old secret does not stay on the disk for ever

open_state() {
  if [ -L "$state_directory" ]; then write_problem=failed; return 1; fi
  if [ ! -d "$state_directory" ]; then
    attempt mkdir -p -- "$state_directory" || return 1
  fi
  attempt chmod 700 -- "$state_directory" && attempt eval ": >>'$state_directory/lock'" || return 1
  open_log
  return 0
}

open_log() {
  local file=$state_directory/log size=0
  size=$(stat -c %s -- "$file") || size=0
  if [ "$size" -gt 262144 ]; then mv -f -- "$file" "$file.old"; fi
  if : >>"$file"; then log_to=$file; fi
}

take_lock() { # seconds; not for ever, because the controller asks again
  local until
  tick
  until=$((clock + $1 * 100))
  { exec 9>>"$state_directory/lock"; } || return 1
  while ! flock -n 9; do
    if [ "$clock" -ge "$until" ]; then return 1; fi
    nap 5
  done
}

release_lock() { exec 9>&-; }

put_file() { # path, text: atomically
  write_new "$1.new" "$2" && mv -f -- "$1.new" "$1"
}

salted_text() { # salt, text
  printf '%s\n%s' "$1" "$2" | digest
}

new_salt() { # sets salt
  salt=$(od -An -N16 -tx1 /dev/urandom) || return
  salt=${salt//[!0-9a-f]/}
  [ ${#salt} -eq 32 ]
}

write_marker() { # generation, type, data
  local sum
  new_salt && sum=$(salted "$salt" "$2" "$3") || return 1
  epoch
  put_file "$state_directory/marker" "generation=$1
salt=$salt
digest=$sum
fence=$fence
time=$now
run=$run_id
"
}

# Only one can rename it away; the other one finds nothing to rename.
claim() { # new name
  [ ! -e "$state_directory/$1" ] || return 1
  mv -- "$state_directory/armed" "$state_directory/$1" || return 1
  sync_folder "$state_directory"
}

# The change stands, or is taken back for good. Keeps the oldest backup of a run: that is what `restore` promises.
disarm() { # keep or drop
  local name=finished
  rm -rf -- "$state_directory/finished"
  if [ "$1" = keep ] && [ ! -e "$state_directory/backup-$run_id" ]; then name=backup-$run_id; fi
  claim "$name" || return 1
  if [ "$name" = finished ]; then drop_folder finished; fi
  return 0
}

drop_folder() { # name: gone as a whole before its parts go
  [ -d "$state_directory/$1" ] || return 0
  rm -rf -- "$state_directory/gone"
  mv -- "$state_directory/$1" "$state_directory/gone" && rm -rf -- "$state_directory/gone"
}

tidy_state() { # leftovers that mean nothing any more, and backups that are old enough
  local folder
  rm -rf -- "$state_directory/arming" "$state_directory/finished" "$state_directory/gone"
  rm -f -- "$state_directory"/*.new
  drop_aside
  epoch
  for folder in "$state_directory"/backup-*; do
    [ -d "$folder" ] || continue
    read_meta "$folder" && [ $((now - was_time)) -lt $backup_life ] && [ $((was_time - now)) -lt $backup_life ] && continue
    rm -rf -- "$folder"
  done
}

record_last() { # what, run
  epoch
  put_file "$state_directory/last" "what=$1
run=$2
time=$now
"
}
