#!/bin/busybox sh
# shellcheck shell=dash
# The guest's first process, in the initramfs: makes the host's files its root. A step that fails
# ends this script, which the kernel answers with a panic, which the runner reports.
set -eu
PATH=/bin
mount -t devtmpfs dev /dev
exec >/dev/console 2>&1
mount -t proc proc /proc
. /guest/settings

for module in /modules/*; do
	insmod "$module"
done

nine_p=trans=virtio,version=9p2000.L,msize=512000
# The host's files stay as they are while a guest runs, as far as it is concerned.
mount -t 9p -o "$nine_p,cache=loose,ro" host /host
mount -t tmpfs -o mode=755,size=90% memory /memory
mkdir /memory/files /memory/work
mount -t overlay -o lowerdir=/host,upperdir=/memory/files,workdir=/memory/work root /root

mount -t tmpfs -o mode=755 run /root/run
mount -t sysfs sys /root/sys
mount -t cgroup2 cgroup /root/sys/fs/cgroup
mkdir /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr

# An installed kernel's modules are in their place already, beneath the overlay.
mkdir -p "/root/lib/modules/$VERSION"
mount --bind "/host$MODULES" "/root/lib/modules/$VERSION"
if [ -n "$OUT" ]; then
	mkdir -p "/root$OUT"
	mount -t 9p -o "$nine_p" out "/root$OUT"
fi

mkdir /root/run/guest
cp -a /guest/* /bin /root/run/guest
mount --move /proc /root/proc
mount --move /dev /root/dev
# The kernel looks for modprobe where its first process has its root, so the root must move.
exec switch_root /root /run/guest/stage
