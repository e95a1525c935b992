#!/bin/sh
# Prints a Python of version 3.11 or later that can make virtual environments.
# On Debian and Ubuntu the venv module is a package of its own, which is installed where that can be
# done without a password.
set -eu

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
can_make_environments() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

found=
for python in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
    usable "$python" || continue
    if can_make_environments "$python"; then
        command -v "$python"
        exit 0
    fi
    found=${found:-$python}
done

if [ -z "$found" ]; then
    echo "error: snapq needs Python 3.11 or later, and none is on the PATH." >&2
    echo "       Install it (Debian 12: apt install python3 python3-venv), or name one:" >&2
    echo "       make PYTHON=/path/to/python3 …" >&2
    exit 1
fi

version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
package="python$version-venv"
here=$(dirname "$0")
if "$here/apt_install.sh" "$package" >&2 && can_make_environments "$found"; then
    command -v "$found"
    exit 0
fi
echo "error: $found cannot make virtual environments: its venv module is missing." >&2
echo "       Install it: sudo apt install $package" >&2
exit 1
