# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# One restart method per host, chosen by evidence; never `docker restart` (F21, F22).

find_method() { # sets method: systemd upstart docker-run none, and why not (no_method). Look at the container first.
  local line
  method=none unit=$agent_unit.service no_method=
  if has systemctl; then
    ask_systemd "$unit"
    [ "$method$no_method" != none ] || ask_systemd '*.service'
    [ "$method$no_method" = none ] || return
  fi
  if has initctl; then
    line=$(limited 20 initctl status "$agent_unit") && case $line in "$agent_unit "*) method=upstart; return ;; esac
  fi
  if why_not_docker_run; then method=docker-run; fi
}

ask_systemd() { # unit or pattern
  local line id='' load='' active='' commands=
  while IFS= read -r line; do
    case $line in
      Id=*) id=${line#*=} ;;
      LoadState=*) load=${line#*=} ;;
      ActiveState=*) active=${line#*=} ;;
      Exec*) commands+="$line " ;;
      '')
        judge_unit "${id:-$1}"
        [ "$method$no_method" = none ] || return
        id='' load='' active='' commands=
        ;;
    esac
  done < <(limited 20 systemctl show "$1" -p Id,LoadState,ActiveState,ExecStartPre,ExecStart,ExecStopPost; echo)
}

# ecs-init's unit; or one that wraps `docker run`, which must read the env file and make the container anew.
judge_unit() { # name; with load, active and commands
  local runs="docker[^;]* (run|start) ([^;]*[ =\"'/])?$agent_container([ \"';]|\$)"
  [ "$load" = loaded ] || return
  if [[ $commands =~ $runs ]]; then
    # An inactive unit beside a running agent is not what runs it.
    case $active:$c_running in inactive:true | failed:true) return ;; esac
    if [[ $commands =~ --env-file[=\ ]\"?$config_file([\ \"]|$) ]] &&
      { [ "$c_autoremove" = true ] || [[ $commands =~ docker[^\;]*\ (--)?rm\  ]]; }; then
      method=systemd unit=$1
    else
      no_method="$1 does not make the container anew from the env file"
    fi
  elif [ "$1" = "$agent_unit.service" ]; then
    case $active:$c_running in inactive:true | failed:true) no_method="$1 is not what runs the agent" ;; *) method=systemd ;; esac
  fi
}

engine_socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
engine_socket=${engine_socket#unix://}

engine() { # verb, path, options...
  local verb=$1 path=$2
  shift 2
  curl -q --noproxy '*' -sS -f --max-time 30 --unix-socket "$engine_socket" -X "$verb" "$@" "http://localhost$path"
}

why_not_docker_run() { # 0: nothing but a plain `docker run` has started it. Else sets no_method.
  [ "$container" = present ] || return 1
  no_method='the container was started with --rm'
  [ "$c_autoremove" != true ] || return 1
  no_method="its network is $c_network"
  case $c_network in host | bridge | default | none) ;; *) return 1 ;; esac
  no_method='the engine API does not know the container'
  engine GET "/containers/$c_id/json" >/dev/null || return 1
  no_method='a process holds the container in the foreground'
  ! held_in_foreground || return 1
  no_method=
}

held_in_foreground() { # by a `docker run` without -d, or by ecs-init: it would meddle
  local file word words
  for file in /proc/[0-9]*/cmdline; do
    IFS= read -r -d '' word <"$file" || continue
    case ${word##*/} in
      amazon-ecs-init) return 0 ;;
      docker) words=$(tr '\0' ' ' <"$file") ;;
      *) continue ;;
    esac
    case $words in *" run "* | *" start "* | *" attach "*) case $words in *[\ =]"$agent_container "*) return 0 ;; esac ;; esac
  done
  return 1
}

restart_agent() {
  say "restart by $method"
  tick
  restart_began=$clock
  case $method in
    systemd) restart_by_systemd ;;
    upstart) restart_by_upstart ;;
    docker-run) restart_by_docker_run ;;
    *) return 1 ;;
  esac
}

restart_by_systemd() {
  limited 20 systemctl reset-failed "$unit" # F24: the start limit counts from zero again
  limited 20 systemctl --no-block restart "$unit" # F25: never wait behind cloud-init
}

restart_by_upstart() { # F26: `restart` would keep the old job's configuration
  limited 60 initctl stop "$agent_unit"
  limited 60 initctl start --no-wait "$agent_unit"
}

agent_failed() { # who runs it has given up
  case $method in
    systemd) limited 20 systemctl is-failed --quiet "$unit" ;;
    docker-run) look && [ "$c_running" = false ] ;;
    *) return 1 ;;
  esac
}
