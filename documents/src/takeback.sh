# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# Taking a change back: old bytes, old marker, old agent.

today_tasks= # what runs now, where that is another day than that of the change

# `folder` is armed, restoring or a backup that the caller owns. Old bytes, old marker, old agent.
# 0 when the old state is proven to be back.
take_back() { # folder, seconds
  local folder=$1 old_text='' text_digest
  change_folder=$folder
  read_meta "$folder" || return 1
  config_file=$was_config
  if [ -n "$today_tasks" ]; then was_tasks=$today_tasks; fi
  if [ "$was_existed" = yes ]; then
    old_text=$(cat -- "$folder/old" && printf x) || return 1
    old_text=${old_text%x}
  fi
  config_read
  sweep_temporaries
  if [ "$was_existed" = yes ]; then read_env old "$folder/old"; else read_env old /dev/null; fi
  if [ "$config_state" = odd ]; then say "cannot take back: $config_odd"; return 1; fi
  text_digest=$(salted_text "$was_salt" "$config_text")
  if [ "$was_existed" = yes ] && [ "$config_state" = regular ] && [ "$config_text" = "$old_text" ]; then
    say 'the env file is the old one already'
  elif [ "$config_state" = absent ] && [ "$was_existed" = no ]; then
    say 'there is no env file, as before'
  elif [ "$config_state" = absent ] || [ "$text_digest" = "$was_text" ]; then
    if [ "$was_existed" = yes ]; then
      config_mode=$was_mode config_owner=$was_owner
      config_put_back "$old_text" || return 1
    else
      config_unlink || return 1
    fi
  else # somebody else has edited the file meanwhile: only our two lines go back
    say 'the env file was edited by somebody else: only two lines go back'
    if [ -n "$old_type_set$old_data_set" ]; then config_edit set "$old_type" "$old_data"; else config_edit remove; fi || return 1
    config_write "$new_text" || return 1
  fi
  if [ -f "$folder/marker" ]; then
    cp -- "$folder/marker" "$state_directory/marker.new" && mv -f -- "$state_directory/marker.new" "$state_directory/marker" || return 1
  else
    rm -f -- "$state_directory/marker"
  fi
  bring_old_agent_back "$2"
}

config_put_back() { # the old bytes; the file that lies there may be missing
  if [ "$config_state" = regular ]; then
    config_write "$1"
    return
  fi
  config_mode=''
  config_write "$1" && chmod "$was_mode" -- "$config_real" && chown "$was_owner" -- "$config_real"
}

is_old_pair() { # c_env_*: what the old file says; where it said nothing, at least not the new pair
  if [ -n "$old_type_set$old_data_set" ]; then
    [ "$c_env_type" = "$old_type" ] && [ "$c_env_data" = "$old_data" ]
  else
    [ "$(salted "$was_salt" "$c_env_type" "$c_env_data")" != "$was_pair" ]
  fi
}

bring_old_agent_back() { # seconds
  b_id='' b_started='' b_arn=$was_arn b_cluster=$was_cluster b_persistence=$was_persistence b_tasks=$was_tasks
  log_mark
  if [ -f "$change_folder/environment" ]; then read_env old "$change_folder/environment"; fi
  old_container_back
  local is_back=$?
  look
  find_method
  if [ "$container" = present ] && [ "$c_running" = true ] && is_old_pair && metadata && [ "$a_cluster" = "$was_cluster" ]; then
    say 'the agent runs with the old value'
    return 0
  fi
  if [ "$method" = none ]; then method=$was_method; fi
  if [ $is_back -ne 0 ]; then
    b_id=$c_id b_started=$c_started pair_type=$old_type pair_data=$old_data
    restart_agent || say 'the restart could not be started'
  fi
  prove "$1" is_old_pair && return 0
  case $prove_reason in
    # The old value may have had its own flaw; and no further restart gives an identity or a task back (F33).
    auth_warning | identity_changed | tasks_lost) warn "$prove_reason"; return 0 ;;
  esac
  say "the old state is not back: $prove_reason: $proof"
  return 1
}
