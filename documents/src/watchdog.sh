# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# The watchdog: a second process outside the script's process group (F56), and outside the SSM agent's cgroup where
# there is systemd. It takes the change back when nobody has disarmed it in time, and goes away when it is done.

start_watchdog() { # 0 when it stands guard
  local unit=ecs-rollout-watchdog-$guard
  if has systemd-run; then
    # --collect is unknown to systemd before 236; without it a failed unit stays listed, nothing worse.
    { limited 20 systemd-run --quiet --collect --unit="$unit" /bin/bash "$state_directory/script" watchdog "$guard" ||
      limited 20 systemd-run --unit="$unit" /bin/bash "$state_directory/script" watchdog "$guard"; } &&
      stands_guard 15 && return 0
    limited 20 systemctl stop "$unit.service"
  fi
  has setsid || return 1
  setsid /bin/bash "$state_directory/script" watchdog "$guard" </dev/null >/dev/null 2>&1 3>&- 9>&- &
  disown
  stands_guard 30
}

stands_guard() { # tenths of a second to wait for it
  local tries
  for ((tries = 0; tries < $1; tries++)); do
    if is_alive "$state_directory/armed"; then return 0; fi
    nap 1
  done
  return 1
}

watchdog() { # guard: the copy's own main
  local deadline folder=$state_directory/armed
  op=watchdog
  log_to=$state_directory/log
  tick
  deadline=$((clock + watchdog_seconds * 100))
  # The lock stays when the folder is renamed. Not flock -n: who looks whether we live holds it for a moment.
  guards "$1" && exec 8<"$folder/alive" && limited 10 flock 8 || return 0
  say 'standing guard'
  while tick; [ "$clock" -lt "$deadline" ]; do
    nap 10
    guards "$1" || return 0
  done
  claim restoring || return 0
  say 'nobody disarmed me: taking the change back'
  read_meta "$state_directory/restoring"
  record_last interrupted "$was_run"
  # A script at work within its time lets go soon. One that hangs has lost the change: do not wait for it.
  take_lock 60 || say 'the lock is held; going on'
  if take_back "$state_directory/restoring" "$restore_seconds"; then
    record_last watchdog_restored "$was_run"
    drop_folder restoring
    say 'the old state is back'
  else
    record_last restore_failed "$was_run" # the folder stays, so that the next document tries again
  fi
}

guards() { # guard: is it still the same change?
  local who=
  if [ -f "$state_directory/armed/alive" ]; then read -r who <"$state_directory/armed/alive"; fi
  [ "$who" = "$1" ]
}

# The watchdog was quicker: say what it did.
after_watchdog() {
  release_lock
  tick
  local until=$((clock + (restore_seconds + 30) * 100))
  while tick; [ "$clock" -lt "$until" ]; do
    read_last
    case $last_what:$last_run in
      "watchdog_restored:$run_id") changed=false; finish rolled_back watchdog_restored ;;
      "restore_failed:$run_id") finish failed restore_failed ;;
    esac
    nap 10
  done
  finish failed restore_failed
}
