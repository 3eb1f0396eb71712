#!/bin/sh
# A small ECS agent for a real Docker engine: it reads its environment at start, keeps its identity as the real one
# does (F31), and answers introspection. `poison` in its credential ends it, `mute` keeps it from answering.
log() { echo "level=$1 time=$(date -u +%Y-%m-%dT%H:%M:%SZ) msg=\"$2\" module=$3" | tee -a /log/ecs-agent.log; }

log info 'Loading configuration' agent.go
case $ECS_ENGINE_AUTH_DATA in
  *poison*) exit 5 ;;
  *mute*) sleep 1000 ;;
  '' | '{"'*) ;;
  *) log warn "Could not parse '$ECS_ENGINE_AUTH_TYPE' type auth config" dockerauth.go ;;
esac
arn=arn:aws:ecs:us-east-1:123456789012:container-instance/$ECS_CLUSTER/$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
if [ -n "$ECS_DATADIR" ] && [ "$ECS_CHECKPOINT" != false ]; then
  [ -d "$ECS_DATADIR" ] || exit 1
  if [ -s "$ECS_DATADIR/agent.db" ]; then read -r arn <"$ECS_DATADIR/agent.db"; else echo "$arn" >"$ECS_DATADIR/agent.db"; fi
fi
mkdir -p /www/v1
echo "{\"Cluster\":\"$ECS_CLUSTER\",\"ContainerInstanceArn\":\"$arn\",\"Version\":\"Amazon ECS Agent - v1.105.1 (abc)\"}" \
  >/www/v1/metadata
if [ -f /log/tasks.json ]; then cp /log/tasks.json /www/v1/tasks; else echo '{"Tasks":[]}' >/www/v1/tasks; fi
httpd -f -p "127.0.0.1:$PORT" -h /www &
trap 'kill $!; exit 0' TERM INT
wait
