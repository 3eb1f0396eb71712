#!/bin/sh
# The machine's process 1: a root of a few files, everything of the host's read-only or away (F96), then systemd.
# The host's own units must not run here, so the units' folder is the only one that systemd is told of.
set -eu
root=$1 python=$2
mount --rbind "$root" "$root"
umount -R "$root/sys"
mount --bind /usr "$root/usr"
mount -o remount,bind,ro "$root/usr"
mount --bind "$root/opt/tools" "$root/usr/local/sbin"
mount --bind "$python" "$root/opt/python"
mount -o remount,bind,ro "$root/opt/python"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
for folder in sys run tmp dev; do mount -t tmpfs none "$root/$folder"; done
mkdir -p "$root/sys/fs/cgroup" "$root/dev/shm" "$root/run/old"
mount -t cgroup2 none "$root/sys/fs/cgroup"
for device in null zero full random urandom; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
hostname ecs-instance
cd "$root"
pivot_root . run/old
umount -l /run/old
rmdir /run/old
exec env -i container=ecs-rollout SYSTEMD_UNIT_PATH=/etc/systemd/system SYSTEMD_GENERATOR_PATH=/nowhere \
  SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/nowhere /usr/lib/systemd/systemd --log-target=null --show-status=no --unit=default.target
