#!/bin/sh
# Sees to the system packages that some tests need: a headless Chromium with its driver, and an
# OpenSSH server for the tests of boards.
# Where they are missing and cannot be installed, says what to install and which tests are left out.
set -eu

missing=
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing=chromium
command -v chromedriver >/dev/null 2>&1 || missing="$missing chromium-driver"
[ -x /usr/sbin/sshd ] || command -v sshd >/dev/null 2>&1 || missing="$missing openssh-server"
[ -z "$missing" ] && exit 0

here=$(dirname "$0")
# shellcheck disable=SC2086  # one word a package
"$here/apt_install.sh" $missing && exit 0

cat >&2 <<END
NOTE: the tests that open the report in a browser (tests/report, in Chromium) or connect to a
      board (tests/boards, to an OpenSSH server) are left out as far as they need:$(printf ' %s' $missing)
      Debian and Ubuntu: sudo apt install $missing
END
