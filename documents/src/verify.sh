# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# The predicate of `updated`, read from the instance (design, section 4).

# Compare with b_* (before: b_id b_started b_arn b_cluster b_persistence b_tasks). Sets prove_reason, log_says.
prove() { # seconds, a function that says whether c_env_* are the wanted ones
  local deadline failed=0 polls=0 lost_until=
  tick
  deadline=$((clock + $1 * 100))
  prove_reason=agent_did_not_return log_says=not_checkable
  while :; do
    nap 5 # F16: no faster
    polls=$((polls + 1))
    metadata
    case $? in
      0)
        failed=0
        prove_once "$2"
        case $? in 0) return 0 ;; 1) return 1 ;; esac
        if [ "$prove_reason" = tasks_lost ]; then # give it a moment, not the whole time
          [ -n "$lost_until" ] || lost_until=$((clock + 1500))
          [ "$clock" -lt "$lost_until" ] || return 1
        fi
        [ $polls -lt 20 ] || nap 10
        ;;
      2) prove_reason=metadata_malformed ;;
      *)
        if [ "$prove_reason" != container_not_replaced ]; then prove_reason=agent_did_not_return; fi
        if [ $((polls % 6)) -eq 0 ]; then # two looks, three seconds apart
          if agent_failed; then failed=$((failed + 1)); else failed=0; fi
          [ $failed -lt 2 ] || return 1
        fi
        ;;
    esac
    tick
    [ "$clock" -lt "$deadline" ] || return 1
  done
}

prove_once() { # 0 proven, 1 disproven, 2 not yet
  local arn
  prove_reason=container_not_replaced
  look && [ "$c_running" = true ] || return 2
  [ "$c_id $c_started" != "$b_id $b_started" ] || return 2
  prove_reason=environment_not_new
  "$1" || return 1
  # The answer above may still have been the old agent's (F15): ask again, now that the old one is gone.
  prove_reason=agent_did_not_return
  metadata || return 2
  prove_reason=cluster_changed
  [ "$a_cluster" = "$b_cluster" ] || return 1
  prove_reason=identity_changed
  if [ "$b_persistence" = persistent ] && [ -n "$b_arn" ] && [ "$a_arn" != "$b_arn" ]; then return 1; fi
  prove_reason=tasks_lost
  agent_tasks || return 2
  if [ "$b_persistence" = persistent ] && [ "$b_tasks" != ' ' ]; then
    docker_tasks || return 2
    for arn in $b_tasks; do
      case $d_tasks in *" $arn "*) case $t_known in *" $arn "*) ;; *) return 2 ;; esac ;; esac
    done
  fi
  log_judge
  prove_reason=auth_warning
  [ "$log_says" != warned ] || return 1
  prove_reason=verified
}

remember_before() { # after look, metadata, agent_tasks and judge_persistence
  b_id=$c_id b_started=$c_started b_arn=$a_arn b_cluster=$a_cluster b_persistence=$persistence
  b_tasks=$t_alive
}

restart_took() { # sets restart_ms
  tick
  restart_ms=$(((clock - restart_began) * 10))
}
