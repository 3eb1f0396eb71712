# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# The predicate of `updated`, read from the instance (design, section 4).

# Compare with b_* (before: b_id b_started b_arn b_cluster b_persistence b_tasks). Sets log_says, and where the proof
# fails prove_reason and proof, what was seen last.
#
# The reason is what holds when the time is over, never what an early look saw: through a slow restart the old agent
# still answers for a while (F15). The time begins when the restart was asked for, and covers a slow stop (F25).
# Where several hold, the first one of this list is told:
#   container_not_replaced  the old container still runs, whatever answers
#   agent_did_not_return    nobody answers, or no running container belongs to the answer
#   metadata_malformed      something that is not the agent answers
#   environment_not_new     the new agent holds another pair (for 15 seconds)
#   cluster_changed, identity_changed: the new agent says so, and does not change its mind
#   tasks_lost              it does not know all tasks that run (for 15 seconds)
#   auth_warning            its log says so, and stays
# Only who runs the agent can end the time early, by giving it up for good: agent_did_not_return.
prove() { # seconds, a function that says whether c_env_* are the wanted ones
  local deadline failed=0 polls=0 doubt='' doubt_until=0 answer lost
  tick
  deadline=$((clock + $1 * 100))
  log_says=
  while :; do
    nap 5 # F16: no faster
    polls=$((polls + 1))
    if prove_once "$2"; then return 0; fi
    case $prove_reason in
      agent_did_not_return)
        if [ $((polls % 6)) -eq 0 ]; then # two looks, three seconds apart
          if agent_failed; then failed=$((failed + 1)); else failed=0; fi
          [ $failed -lt 2 ] || break
        fi
        ;;
      cluster_changed | identity_changed | auth_warning) break ;;
      *) failed=0 ;;
    esac
    case $prove_reason in
      "$doubt") [ "$clock" -lt "$doubt_until" ] || break ;;
      environment_not_new | tasks_lost) doubt=$prove_reason doubt_until=$((clock + 1500)) ;; # a moment, not the whole time
      *) doubt= ;;
    esac
    [ -z "$a_arn" ] || [ $polls -lt 20 ] || nap 10
    tick
    [ "$clock" -lt "$deadline" ] || break
  done
  case $prove_reason in
    agent_did_not_return | metadata_malformed)
      if look && [ "$c_running $c_id $c_started" = "true $b_id $b_started" ]; then prove_reason=container_not_replaced; fi
      ;;
  esac
  witness
  return 1
}

witness() { # sets proof: short words, no value
  proof=$container
  case $proof$c_running in presenttrue) proof="${c_id:0:12} running" ;; present*) proof="${c_id:0:12} stopped" ;; esac
  proof="agent container $proof${b_id:+, was ${b_id:0:12}}$lost; metadata: ${answer:-${a_arn##*/} of $a_cluster}"
}

hear() { # metadata, or why not
  metadata
  case $? in
    0) answer=; return 0 ;;
    1) prove_reason=agent_did_not_return answer='no answer' ;;
    *) prove_reason=metadata_malformed answer='not from the agent' ;;
  esac
  return 1
}

prove_once() { # 0: proven. Else prove_reason is what this one look says.
  local arn
  lost=
  hear || return 1
  prove_reason=agent_did_not_return
  look && [ "$c_running" = true ] || return 1
  prove_reason=container_not_replaced
  [ "$c_id $c_started" != "$b_id $b_started" ] || return 1
  prove_reason=environment_not_new
  "$1" || return 1
  # The answer above may still have been the old agent's (F15): ask again, now that the old one is gone.
  hear || return 1
  prove_reason=cluster_changed
  [ "$a_cluster" = "$b_cluster" ] || return 1
  prove_reason=identity_changed
  if [ "$b_persistence" = persistent ] && [ -n "$b_arn" ] && [ "$a_arn" != "$b_arn" ]; then return 1; fi
  prove_reason=tasks_lost lost='; tasks: no answer'
  agent_tasks || return 1
  if [ "$b_persistence" = persistent ] && [ "$b_tasks" != ' ' ]; then
    docker_tasks || return 1
    for arn in $b_tasks; do
      lost="; it lacks task ${arn##*/}"
      case $d_tasks in *" $arn "*) case $t_known in *" $arn "*) ;; *) return 1 ;; esac ;; esac
    done
  fi
  lost=
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
