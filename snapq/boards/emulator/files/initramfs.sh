#!/bin/busybox sh
# First program on the emulated board: loads drivers, mounts the root file system and goes there.
B=/bin/busybox
$B mount -t devtmpfs dev /dev
while read -r module; do
    $B insmod "/modules/$module.ko"
done </modules/order
until [ -b /dev/vda ]; do $B usleep 10000; done
$B mount -t ext4 -o rw,noatime /dev/vda /root
# What belongs to this one board (keys, how its SoC looks) came in memory beside this script.
$B cp -a /board/. /root/
$B mount -o move /dev /root/dev
exec $B switch_root /root /sbin/init
