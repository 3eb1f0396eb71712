#!/bin/sh
# docker as this machine has it: the agent's container is a file that the agent itself writes.
state=/run/docker
case $1 in
  inspect)
    cat "$state/$2.json" 2>/dev/null || {
      echo '[]'
      echo "Error: No such object: $2" >&2
      exit 1
    }
    ;;
  ps) ;;
  logs) cat /var/log/ecs/ecs-agent.log ;;
  *)
    echo "not here: docker $*" >&2
    exit 64
    ;;
esac
