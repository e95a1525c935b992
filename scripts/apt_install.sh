#!/bin/sh
# Installs Debian packages where that can be done without a password; fails where it cannot.
# usage: apt_install.sh PACKAGE…
set -eu

command -v apt-get >/dev/null 2>&1 || exit 1
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    exit 1
fi

echo "Installing $* with apt-get."
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The package lists are fetched only where the ones that are there do not suffice.
if ! $as_root apt-get install -y --no-install-recommends "$@" >"$log" 2>&1 </dev/null; then
    if ! { $as_root apt-get update && $as_root apt-get install -y --no-install-recommends "$@"; } \
        >"$log" 2>&1 </dev/null; then
        tail -n 5 "$log" >&2
        exit 1
    fi
fi
