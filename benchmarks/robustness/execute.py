"""Runs `snapq` under limits, in a fork of this process or in a Python of its own.

Python and its libraries take seconds to start; a fork of a process that has imported them starts at
once. What happens at the start itself (locale, home, closed streams) needs a fresh Python.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.robustness.case import CPU_LIMIT_S, Case, Outcome

ROOT = Path(__file__).resolve().parents[2]
WALL_LIMIT_S = 600.0
"""The machine may be busy: the clock ends only what sleeps."""
MEMORY_LIMIT = 12 << 30
"""Bytes: what saves the machine, far above what snapq itself is content with."""
_TAIL = 20_000


def execute(case: Case, folder: Path) -> list[Outcome]:
    """Runs the commands of a case in its folder."""
    if case.run is not None:
        return list(case.run(folder))
    return [
        run(command, folder, environment=case.environment, fresh=case.fresh, feed=case.feed)
        for command in case.commands
    ]


def run(
    arguments: Sequence[str],
    folder: Path,
    *,
    environment: Mapping[str, str | None] | None = None,
    fresh: bool = False,
    feed: bytes = b"",
) -> Outcome:
    """Runs `snapq ARGUMENTS` in `folder`."""
    logs = folder.parent
    streams = logs / "stdin", logs / "stdout", logs / "stderr"
    streams[0].write_bytes(feed)
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _become_command(arguments, folder, environment or {}, fresh, streams)
    status, usage, timed_out = _wait(pid, started)
    return Outcome(
        tuple(arguments),
        os.waitstatus_to_exitcode(status),
        round(usage.ru_utime + usage.ru_stime, 2),
        round(time.monotonic() - started, 2),
        round(usage.ru_maxrss / 1024, 1),
        *(_tail(path) for path in streams[1:]),
        timed_out,
    )


def _become_command(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str | None],
    fresh: bool,
    streams: tuple[Path, Path, Path],
) -> None:
    """Turns this fork into the command; does not return."""
    code = 99
    try:
        os.setsid()
        limit = int(CPU_LIMIT_S) + 15
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number, path in enumerate(streams):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(path, flags, 0o600), number)
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if fresh:
            path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
            os.environ["PYTHONPATH"] = path
            os.chdir(folder)
            os.execv(sys.executable, [sys.executable, "-P", "-m", "snapq", *arguments])
        os.chdir(folder)
        code = _call(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _call(arguments: Sequence[str]) -> int:
    """Does what the program `snapq` does, up to the end of Python."""
    import atexit

    from snapq.cli.main import main

    sys.argv = ["snapq", *arguments]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _wait(pid: int, started: float) -> tuple[int, resource.struct_rusage, bool]:
    timed_out = False
    pause = 0.002
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() - started > WALL_LIMIT_S:
            timed_out = True
            os.killpg(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            break
        time.sleep(pause)
        pause = min(0.05, pause * 1.5)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # what it left behind
    return status, usage, timed_out


def _tail(path: Path) -> str:
    data = path.read_bytes()
    return data[-_TAIL:].decode("utf-8", "surrogateescape")


def import_everything() -> None:
    """Imports what commands need, so that their forks have it."""
    import importlib

    for name in (
        "snapq.cli.app",
        "snapq.api.inspection",
        "snapq.api.quantization",
        "snapq.api.one_stage",
        "snapq.quantization.quantize",
        "snapq.stages.quantize.stage",
        "snapq.quantization.lint.run",
        "snapq.npu.model",
        "snapq.evaluation.datasets",
        "snapq.cli.output.tables",
        "snapq.cli.output.progress",
        "onnxruntime",
    ):
        importlib.import_module(name)
    from snapq.graph.passes.run import all_passes

    all_passes()


def start_python(arguments: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
    """Starts `snapq ARGUMENTS` in a fresh Python, for cases that kill it or talk to it."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-P", "-m", "snapq", *arguments]
    return subprocess.Popen(command, env=environment, **options)  # type: ignore[call-overload, no-any-return]
