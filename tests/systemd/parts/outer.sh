#!/bin/sh
# A machine: new namespaces, a control group of its own, systemd as process 1. It ends when its stdin ends, so that
# nothing stays behind when a test is killed; what is left of its control group is removed then.
# In a private mount namespace: outer.sh ROOT PYTHON
set -eu
root=$1 python=$2
groups=$root/sys/groups
mount -t tmpfs none "$root/sys"
mkdir "$groups"
mount -t cgroup2 none "$groups"
own=$groups/ecs-rollout-test-$$
mkdir "$own"
echo $$ >"$own/cgroup.procs"
unshare --fork --kill-child --pid --mount --uts --ipc --cgroup /bin/sh "${0%/*}/boot.sh" "$root" "$python" &
unshare=$!
echo $$ >"$groups/cgroup.procs"
read -r _ || :
echo 1 >"$own/cgroup.kill"
wait "$unshare" 2>/dev/null || :
until find "$own" -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.05; done
