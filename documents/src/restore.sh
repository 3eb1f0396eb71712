# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# restore: takes back what one run has changed here.

arn_before='' tasks_before=-1 restart_ms=-1 log_says=''

evidence_of_restore() {
  put arn_before "$arn_before"
  put_plain tasks_before "$tasks_before"
  put_plain restart_ms "$restart_ms"
  put log "$log_says"
  put detail "$detail"
}

restore() {
  op=restore
  begin_change
  see_agent 1
  armed_state
  if [ "$armed" = dead ]; then
    read_meta "$armed_folder"
    if [ "$was_run" = "$restore_run" ]; then
      finish_leftover
      finish rolled_back restored
    fi
  fi
  finish_leftover
  tidy_state
  sweep_temporaries
  local backup=$state_directory/backup-$restore_run
  if [ "$marker_run" != "$restore_run" ]; then finish current nothing_to_restore; fi
  if [ ! -d "$backup" ]; then finish failed no_backup; fi
  if [ "$container" = unknown ]; then explain 'docker does not answer'; finish refused agent_down; fi
  if [ -n "$a_cluster" ] && [ "$a_cluster" != "$cluster" ]; then explain "the agent serves $a_cluster"; finish refused cluster_mismatch; fi
  if [ "$method" = none ]; then explain "$no_method"; finish refused no_restart_method; fi
  read_meta "$backup"
  if [ "$container" = absent ]; then persistence=$was_persistence; fi # no container tells anything now
  refuse_while_tasks_run
  if [ "$verify_login" = yes ]; then try_old_logins "$backup"; fi
  arn_before=$a_arn tasks_before=$t_running
  take_run_back "$backup"
}

# An old login that its registry refuses helps nobody. One that cannot be tried keeps nothing from being taken back.
try_old_logins() { # backup
  if [ -f "$1/environment" ]; then
    read_env old "$1/environment"
  elif [ "$was_existed" = yes ]; then
    read_env old "$1/old"
  else
    return
  fi
  verify_logins "$old_type" "$old_data" && return
  if [ "$login_reason" = login_refused ]; then finish refused login_refused; fi
  warn old_login_not_proven
  detail=
}

take_run_back() { # backup
  guard=$run_id-$BASHPID
  put_file "$1/alive" "$guard
" || refuse_unwritable 'the state directory'
  attempt cp -- "$0" "$state_directory/script" || refuse_unwritable 'the state directory'
  # The tasks of today are what must be there afterwards, not those of the day of the change.
  today_tasks=$t_alive
  mv -- "$1" "$state_directory/armed" || refuse_unwritable 'the state directory'
  sync_folder "$state_directory"
  if ! start_watchdog; then
    mv -- "$state_directory/armed" "$1"
    explain 'the watchdog did not start'
    finish failed internal
  fi
  changed=true
  if take_back "$state_directory/armed" "$restore_seconds"; then
    restart_took
    disarm drop || after_watchdog
    drop_aside
    read_marker
    finish rolled_back restored
  fi
  explain "the old state is not back: ${prove_reason:-see the log}${proof:+: $proof}"
  finish failed restore_failed
}
