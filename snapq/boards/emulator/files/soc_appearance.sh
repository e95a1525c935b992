#!/bin/sh
# Makes the emulated board look like one with a Snapdragon whose NPU cannot be used.
# usage: soc-appearance [STATE]    runs at boot; run it again with another state to change it
set -eu
B=/bin/busybox
own=/etc/snapq
libraries=/usr/lib/aarch64-linux-gnu
state=${1:-$(cat $own/npu)}

if [ -d $own/sys ] && [ ! -d /sys/devices/soc0 ]; then
    # Nothing can be added to the kernel's own /sys; files in memory take its place.
    mkdir -p /run/sys
    $B mount -t tmpfs soc-appearance /run/sys
    mkdir -p /run/sys/devices/system
    cp -r /sys/devices/system/cpu /run/sys/devices/system/ 2>/dev/null || true
    cp -r $own/sys/. /run/sys/
    $B umount /sys
    $B mount -o move /run/sys /sys
fi

if [ -d $own/sys ]; then
    cp $own/sys/devices/soc0/soc_id /sys/devices/soc0/
    [ "$state" != unknown-soc ] || echo 65535 >/sys/devices/soc0/soc_id
fi
rm -f /dev/fastrpc-cdsp $libraries/libcdsprpc.so $libraries/libcdsprpc.so.1
for library in $own/libatomic.so*; do
    [ ! -e "$library" ] || mv "$library" $libraries/
done

[ "$state" != no-device ] || exit 0
# Any device will do: it is looked for, and nothing opens it.
mknod -m 666 /dev/fastrpc-cdsp c 1 3
[ "$state" != unknown-soc ] && [ "$state" != no-library ] || exit 0
cp $own/libcdsprpc.so.1 $libraries/
[ "$state" != no-link ] || exit 0
ln -s libcdsprpc.so.1 $libraries/libcdsprpc.so
[ "$state" != no-libatomic ] || mv $libraries/libatomic.so* $own/
