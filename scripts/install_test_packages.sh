#!/bin/sh
# Sees to the system packages that some tests need: a headless Chromium with its driver, an OpenSSH
# server, QEMU with what builds a board for it, and compilers for what bundles have for applications.
# Where they are missing and cannot be installed, says what to install and which tests are left out.
set -eu

here=$(dirname "$0")
PATH=$PATH:/usr/sbin:/sbin

# ensure TESTS PACKAGE…: installs the packages, else says that these tests are left out.
ensure() {
    tests=$1
    shift
    [ $# -eq 0 ] && return
    "$here/apt_install.sh" "$@" && return
    cat >&2 <<END
NOTE: $tests are left out.
      They need: $*
      Debian and Ubuntu: sudo apt install $*
END
}

# lacks PROGRAM…: whether none of the programs is there.
lacks() {
    for program in "$@"; do
        command -v "$program" >/dev/null 2>&1 && return 1
    done
    return 0
}

set --
lacks chromium google-chrome && set -- "$@" chromium
lacks chromedriver && set -- "$@" chromium-driver
ensure "the tests that open the report in a browser (tests/report, in Chromium)" "$@"

set --
lacks sshd && set -- "$@" openssh-server
ensure "the tests of boards over SSH (tests/boards, against a server of their own)" "$@"

set --
lacks qemu-system-aarch64 && set -- "$@" qemu-system-arm
lacks mke2fs && set -- "$@" e2fsprogs
lacks adb && set -- "$@" adb
lacks ssh && set -- "$@" openssh-client
[ -f /usr/share/keyrings/debian-archive-keyring.gpg ] || set -- "$@" debian-archive-keyring
ensure "the tests on an emulated board (tests/boards/emulator)" "$@"

set --
lacks gcc && set -- "$@" gcc libc6-dev
lacks g++ && set -- "$@" g++
lacks npm && set -- "$@" npm
lacks aarch64-linux-gnu-gcc && set -- "$@" gcc-aarch64-linux-gnu libc6-dev-arm64-cross
lacks aarch64-linux-gnu-g++ && set -- "$@" g++-aarch64-linux-gnu
lacks mcs && set -- "$@" mono-mcs
ensure "the tests that compile what a bundle has for C, C++ and C# (tests/bundle/application)" "$@"
