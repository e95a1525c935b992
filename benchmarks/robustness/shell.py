"""Runs lines of a shell in which `snapq` is the program, for cases that need one."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.robustness.case import CPU_LIMIT_S, Outcome
from benchmarks.robustness.execute import ROOT, WALL_LIMIT_S

BASH = shutil.which("bash") or "/bin/bash"


def environment(changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The environment of this process with what a fresh `snapq` needs, and these changes."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    found = {**os.environ, "PYTHONPATH": path, "SNAPQ": f"{sys.executable} -P -m snapq"}
    for name, value in (changes or {}).items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = value
    return found


def run(
    line: str, folder: Path, changes: Mapping[str, str | None] | None = None, shown: str = ""
) -> Outcome:
    """Runs a line of bash in `folder`; `$SNAPQ` in it is the program."""
    logs = folder.parent / "stdout", folder.parent / "stderr"
    started = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with logs[0].open("wb") as out, logs[1].open("wb") as err:
        process = subprocess.Popen(
            [BASH, "-c", line],
            cwd=folder,
            env=environment(changes),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        timed_out = False
        try:
            code = process.wait(min(WALL_LIMIT_S, 10 * CPU_LIMIT_S))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            code, timed_out = process.wait(), True
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = [path.read_bytes()[-(1 << 20) :].decode("utf-8", "surrogateescape") for path in logs]
    words = tuple((shown or line).split())
    wall = time.monotonic() - started
    peak = after.ru_maxrss / 1024
    return Outcome(words, code, round(cpu, 2), round(wall, 2), round(peak, 1), *said, timed_out)
