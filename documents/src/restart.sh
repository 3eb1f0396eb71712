# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# One restart method per host, chosen by evidence; never `docker restart` (F21, F22).

find_method() { # sets method: systemd upstart none. Look at the container first.
  local line load='' active=''
  method=none
  if has systemctl; then
    while IFS= read -r line; do
      case $line in
        LoadState=*) load=${line#*=} ;;
        ActiveState=*) active=${line#*=} ;;
      esac
    done < <(limited 20 systemctl show "$agent_unit.service" -p LoadState,ActiveState)
    if [ "$load" = loaded ]; then
      # An inactive unit beside a running agent is not what runs it.
      case $active:$c_running in inactive:true | failed:true) ;; *) method=systemd; return ;; esac
    fi
  fi
  if has initctl; then
    line=$(limited 20 initctl status "$agent_unit") && case $line in "$agent_unit "*) method=upstart ;; esac
  fi
}

restart_agent() {
  say "restart by $method"
  tick
  restart_began=$clock
  case $method in
    systemd) restart_by_systemd ;;
    upstart) restart_by_upstart ;;
    *) return 1 ;;
  esac
}

restart_by_systemd() {
  limited 20 systemctl reset-failed "$agent_unit.service" # F24: the start limit counts from zero again
  limited 20 systemctl --no-block restart "$agent_unit.service" # F25: never wait behind cloud-init
}

restart_by_upstart() { # F26: `restart` would keep the old job's configuration
  limited 60 initctl stop "$agent_unit"
  limited 60 initctl start --no-wait "$agent_unit"
}

agent_failed() { # the service manager has given up
  case $method in
    systemd) limited 20 systemctl is-failed --quiet "$agent_unit.service" ;;
    *) return 1 ;;
  esac
}
