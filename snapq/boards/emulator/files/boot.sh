#!/bin/sh
# Second program on the emulated board, run once by busybox's init: what a real board's init does.
B=/bin/busybox
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
$B mount -t devpts -o ptmxmode=666 devpts /dev/pts
$B mount -t tmpfs shm /dev/shm
$B mount -t tmpfs tmp /tmp
$B mount -t tmpfs run /run
mkdir -p /run/sshd
for word in $(cat /proc/cmdline); do
    case $word in
        snapq.name=*) $B hostname "${word#*=}" ;;
        snapq.time=*) date -s "@${word#*=}" >/dev/null ;;
    esac
done
$B ifconfig lo 127.0.0.1
$B ifconfig eth0 10.0.2.15 netmask 255.255.255.0
# Commands that a board has and Debian's smallest set of packages has not (ps, ip, vi).
mkdir -p /usr/local/bin
for applet in $($B --list); do
    command -v "$applet" >/dev/null || ln -s $B "/usr/local/bin/$applet"
done
case " $(cat /proc/cmdline) " in
    *" snapq.adb "*) /usr/sbin/adbd >/dev/null 2>&1 & ;;
esac
[ ! -x /etc/snapq/soc-appearance ] || /etc/snapq/soc-appearance
