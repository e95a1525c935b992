"""Ctrl-C that comes at a moment in which it may not end what runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from snapq.workers import forked

FORKS = """
import os, signal, time
from snapq.cli.interrupts import listen
from snapq.limits import Limits
from snapq.workers import forked

listen()
done = []

def before():
    os.kill(os.getpid(), signal.SIGINT)
    done.append("prepared")

def after():
    done.append("tidied up")

os.register_at_fork(before=before, after_in_parent=after)
try:
    forked.call(lambda: time.sleep(5), Limits(seconds=10, memory=2**28))
except KeyboardInterrupt:
    print("interrupted", *done, sep=", ")
"""


@pytest.mark.skipif(not forked.available(), reason="this system cannot copy a process")
def test_an_interrupt_waits_for_the_end_of_a_fork_and_is_not_lost() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout == "interrupted, prepared, tidied up\n"
