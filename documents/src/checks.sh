# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# What apply and restore ask before they touch anything.

begin_change() { # lock, tools, fence, expiry: nothing else has been touched when one of them refuses
  if missing_tool flock sha256sum awk dd od stat mv rm mkdir cat readlink chmod chown sync tail base64 docker curl; then
    explain "$missing is not installed"
    finish refused tool_missing
  fi
  epoch
  if [ "$now" -gt "$not_after" ]; then finish refused expired; fi
  if [ $((verify_seconds + restore_seconds)) -ge "$watchdog_seconds" ] || [ "$watchdog_seconds" -ge "$step_seconds" ]; then
    explain 'VerifySeconds + RestoreSeconds < WatchdogSeconds < StepSeconds does not hold'
    finish refused internal
  fi
  open_state || refuse_unwritable 'the state directory'
  take_lock 5 || finish refused locked
  read_marker
  read_fence
  if [ "$fence" -lt "$fence_seen" ]; then finish refused fence_stale; fi
  epoch # the lock may have taken its time
  if [ "$now" -gt "$not_after" ]; then finish refused expired; fi
  if [ "$fence" -gt "$fence_seen" ]; then
    put_file "$state_directory/fence" "$fence
" || refuse_unwritable 'the state directory'
    fence_seen=$fence
  fi
}

refuse_unwritable() { # what
  explain "$1 cannot be written"
  if [ "$write_problem" = full ]; then finish refused disk_full; fi
  finish refused config_unwritable
}

# A change that its script and its watchdog left unfinished (a reboot, F56) is taken back before anything else.
finish_leftover() {
  armed_state
  case $armed in
    no) return ;;
    living) finish refused watchdog_armed ;;
  esac
  say 'an unfinished change was found: taking it back'
  read_meta "$armed_folder"
  local interrupted=$was_run
  # An agent that does not answer has nothing more to lose by a restart; one that keeps its state never has.
  if [ -n "$a_arn" ] && [ "$was_persistence" != persistent ]; then refuse_while_tasks_run; fi
  if take_back "$armed_folder" "$restore_seconds"; then
    drop_folder "${armed_folder##*/}"
    record_last watchdog_restored "$interrupted"
    changed=true
    read_marker
    see_agent 6
    return
  fi
  record_last restore_failed "$interrupted"
  explain "the change of an earlier run could not be taken back"
  finish failed restore_failed
}

# Unless the state persists, a restart orphans what runs (F33).
refuse_while_tasks_run() {
  local running=$t_running
  [ "$persistence" != persistent ] && [ "$on_tasks" != force ] || return 0
  # What Docker runs counts as well: an agent that forgot its tasks reports none.
  docker_tasks || { explain 'docker ps does not answer'; finish refused persistence_unknown; }
  if [ "$d_count" -gt "$running" ]; then running=$d_count; fi
  [ "$running" -ne 0 ] || return 0
  explain "$running tasks run, and the agent's state is $persistence"
  if [ "$persistence" = unknown ]; then finish refused persistence_unknown; fi
  finish refused tasks_running
}

refuse_unsafe() {
  case $container in
    absent) finish refused agent_absent ;;
    unknown) explain 'docker does not answer'; finish refused agent_down ;;
  esac
  if [ "$method" = none ]; then explain "$no_method"; finish refused no_restart_method; fi
  if [ -z "$a_arn" ]; then finish refused agent_down; fi
  if [ "$a_cluster" != "$cluster" ]; then explain "the agent serves $a_cluster"; finish refused cluster_mismatch; fi
  if pending_cluster; then explain 'ECS_CLUSTER in the file is not the running one'; finish refused cluster_mismatch; fi
  if [ "$t_running" -lt 0 ] && [ "$persistence" != persistent ]; then
    explain 'the agent does not tell its tasks'
    finish refused persistence_unknown
  fi
  refuse_while_tasks_run
}

emit() { printf '%s\n' "$1" >&3; }
