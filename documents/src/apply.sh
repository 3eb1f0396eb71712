# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# apply: in this order, each step safe to die after (design, section 4).

arn_before='' tasks_before=-1 restart_ms=-1 log_says=''

evidence_of_apply() {
  put arn_before "$arn_before"
  put_plain tasks_before "$tasks_before"
  put_plain restart_ms "$restart_ms"
  put log "$log_says"
  put detail "$detail"
}

is_new_pair() { [ "$c_env_type" = "$new_type" ] && [ "$c_env_data" = "$new_data" ]; }

apply() {
  op=apply
  begin_change
  see_agent 6
  finish_leftover
  tidy_state
  sweep_temporaries
  stop_if_current
  fetch_payload || finish failed "$fetch_reason"
  open_payload || finish failed "$fetch_reason"
  stop_if_equal
  refuse_unsafe
  prepare_edit
  if [ "$verify_login" = yes ] && ! verify_logins "$new_type" "$new_data"; then finish failed "$login_reason"; fi
  arn_before=$a_arn tasks_before=$t_running
  remember_before
  change
}

stop_if_current() {
  if [ -n "$a_arn" ] && [ "$a_cluster" = "$cluster" ] && [ "$marker_generation" = "$generation" ] && all_agree; then
    finish current already_current
  fi
}

# The marker is lost or of another generation, but file and agent hold these very values: no restart is needed.
stop_if_equal() {
  [ -n "$a_arn" ] && [ "$a_cluster" = "$cluster" ] && [ "$config_state" = regular ] || return 0
  [ "$c_running" = true ] && is_new_pair && [ "$file_type" = "$new_type" ] && [ "$file_data" = "$new_data" ] || return 0
  write_marker "$generation" "$new_type" "$new_data" || refuse_unwritable 'the marker'
  read_marker
  finish current already_current
}

prepare_edit() { # sets new_text
  if [ "$config_state" = odd ]; then explain "the env file: $config_odd"; finish refused config_unsupported; fi
  if [ ! -w "${config_real%/*}" ]; then explain 'the folder is read-only'; finish refused config_unwritable; fi
  if ! config_edit set "$new_type" "$new_data"; then
    explain 'the env file joins lines in a way that cannot be edited safely'
    finish refused config_unsupported
  fi
  if [ "$edit_live" -gt 2 ]; then warn duplicate_auth; fi
  if [ "$edit_dead" -gt 0 ]; then warn commented_auth; fi
}

# Before anything is touched: keep what is needed to take the change back, durable, then make it visible by a rename.
arm() { # type, data, text: what is about to be written
  local folder=$state_directory/arming sum pair existed=no task tasks=''
  rm -rf -- "$folder"
  attempt mkdir -m 700 -- "$folder" || return 1
  new_salt && sum=$(salted_text "$salt" "$3") && pair=$(salted "$salt" "$1" "$2") || return 1
  if [ "$config_state" = regular ]; then
    existed=yes
    write_new "$folder/old" "$config_text" || return 1
  fi
  if [ "$method" = docker-run ]; then # what the container holds need not be what the file holds
    write_new "$folder/environment" "ECS_ENGINE_AUTH_TYPE=$c_env_type
ECS_ENGINE_AUTH_DATA=$c_env_data
" || return 1
  fi
  if [ -f "$state_directory/marker" ]; then attempt cp -- "$state_directory/marker" "$folder/marker" || return 1; fi
  for task in $b_tasks; do tasks+="task=$task
"; done
  epoch
  write_new "$folder/meta" "run=$run_id
existed=$existed
mode=$config_mode
owner=$config_owner
config=$config_real
salt=$salt
text=$sum
pair=$pair
arn=$b_arn
cluster=$b_cluster
persistence=$b_persistence
method=$method
container=$b_id
policy=$c_policy
time=$now
${tasks}" || return 1
  guard=$run_id-$BASHPID
  write_new "$folder/alive" "$guard
" || return 1
  attempt cp -- "$0" "$state_directory/script" || return 1
  sync_folder "$folder"
  attempt mv -- "$folder" "$state_directory/armed" || return 1
  sync_folder "$state_directory"
}

change() { # from here on every way out goes through disarm, or is the watchdog's
  arm "$new_type" "$new_data" "$new_text" || refuse_unwritable 'the backup'
  if ! start_watchdog; then
    disarm drop
    explain 'the watchdog did not start'
    finish failed internal
  fi
  config_write "$new_text" || undo_write
  say 'the env file is written'
  log_mark
  changed=true change_folder=$state_directory/armed was_policy=$c_policy pair_type=$new_type pair_data=$new_data
  if ! restart_agent; then proof=; roll_back restart_failed; fi
  if ! prove "$verify_seconds" is_new_pair; then roll_back "$prove_reason"; fi
  restart_took
  if ! write_marker "$generation" "$new_type" "$new_data"; then warn marker_not_written; fi
  read_marker
  disarm keep || after_watchdog
  drop_aside
  finish updated verified
}

undo_write() { # nothing has changed yet
  local problem=$write_problem
  disarm drop || after_watchdog
  write_problem=$problem
  refuse_unwritable 'the env file'
}

roll_back() { # reason: the watchdog keeps guarding meanwhile
  local reason=$1 told=${proof:-$detail} log=$log_says
  say "failed: $reason: $told; taking the change back"
  prove_reason=
  if take_back "$state_directory/armed" "$restore_seconds"; then
    detail=$told log_says=$log # of the agent that failed, not of the one that is back
    disarm drop || after_watchdog
    read_marker
    changed=false
    finish rolled_back "$reason"
  fi
  explain "after $reason${told:+: $told}${prove_reason:+; then $prove_reason: $proof}"
  finish failed restore_failed # and the watchdog tries once more
}
