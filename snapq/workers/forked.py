"""Work in a copy of this process, under limits on memory and processor time.

A copy starts in milliseconds, as everything is imported and in memory already; so what reads and
converts a model that is not ours can always have a process of its own. What the libraries do there
(end by a signal, ask for all memory, never come back) ends the copy, and becomes one error.

Where the system cannot copy a process, the work is done in this one, without limits.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import mmap
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

from snapq.limits import Limits

if sys.platform != "win32":
    import resource

__all__ = ["EndedError", "Ending", "available", "call", "note", "out_of_memory", "start_copy"]

T = TypeVar("T")

_TRAIL_BYTES = 1024
_GRACE_S = 1
"""Seconds from the signal that time is up, which Python sees and native code does not."""
_NEARLY = 0.75
"""Of the time that is allowed: who is killed so late is killed for it, unless by its own fault.
The kernel's two accounts of a process differ by several per cent on busy virtual machines."""
_WALL_FACTOR, _WALL_LEAST_S = 10, 120.0
"""The clock ends only what sleeps: the machine may be busy."""
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG."""

_trail: mmap.mmap | None = None


class Ending(Enum):
    """How the work ended before its end."""

    MEMORY = "memory"
    TIME = "time"
    SIGNAL = "signal"


@dataclass
class EndedError(Exception):
    """The work did not come to its end.

    Attributes:
        how: what ended it.
        at: what it noted last.
        signal: the name of the signal, such as SIGSEGV.
        printed: the last that native libraries printed.
    """

    how: Ending
    at: str = ""
    signal: str = ""
    printed: str = ""


class _TimeIsUp(BaseException):
    """Processor time is up, and Python code runs."""


def available() -> bool:
    """Whether this system can copy a process."""
    return sys.platform == "linux"


def note(text: str) -> None:
    """Leaves word of what comes next, for whoever wonders where the process died."""
    if _trail is not None:
        data = text.encode("utf-8", "replace")[: _TRAIL_BYTES - 1]
        _trail[: len(data) + 1] = data + b"\0"


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or one that it came from, says that memory ran out."""
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen)
        if isinstance(seen, MemoryError) or any(words in text for words in _OUT_OF_MEMORY):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


_OUT_OF_MEMORY = (
    "bad_alloc",
    "bad allocation",
    "Failed to allocate memory",
    "Unable to allocate",
    "Cannot allocate memory",
    "array is too big",
)
"""What NumPy, ONNX and ONNX Runtime say."""


def call(work: Callable[[], T], limits: Limits) -> T:
    """Does `work` in a copy of this process; the result must be picklable.

    Raises:
        EndedError: it took too much, or a library ended the process.
        Exception: what `work` raised.
    """
    if not available():
        return work()
    trail = mmap.mmap(-1, _TRAIL_BYTES)
    answer = os.memfd_create("snapq-answer")
    printed = os.memfd_create("snapq-printed")
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = start_copy(work, limits, trail, answer, printed)
        status, used, timed_out = _wait(pid, max(_WALL_LEAST_S, _WALL_FACTOR * limits.seconds))
        code = os.waitstatus_to_exitcode(status)
        crashed = code < 0 and code not in (-signal.SIGKILL, -signal.SIGXCPU)
        late = timed_out or (not crashed and used >= _NEARLY * limits.seconds)
        result: T = _result(code, code == 0 or not late, _text(trail), answer, printed)
        return result
    finally:
        os.close(answer)
        os.close(printed)
        trail.close()


def start_copy(
    work: Callable[[], Any], limits: Limits, trail: mmap.mmap, answer: int, printed: int
) -> int:
    """Starts the copy; returns its process id.

    An interrupt must wait until this is over (`snapq.cli.interrupts`): libraries prepare for a fork
    and tidy up behind it, and break where only one of the two was done.
    """
    pid = os.fork()
    if pid == 0:
        _serve(work, limits, trail, answer, printed)
    return pid


def _serve(
    work: Callable[[], Any], limits: Limits, trail: mmap.mmap, answer: int, printed: int
) -> NoReturn:
    """The copy: does the work, leaves the answer, and ends without the caller's clean-up."""
    global _trail
    code = 1
    try:
        _trail = trail
        _live_apart(printed)
        _obey(limits)
        gc.freeze()  # or each collection would look through, and copy, all that the caller holds
        try:
            reply: tuple[str, Any] = ("value", work())
        except _TimeIsUp:
            reply = ("ended", Ending.TIME)
        except Exception as error:
            reply = ("ended", Ending.MEMORY) if out_of_memory(error) else ("error", error)
        _unlimit()
        _leave(answer, reply)
        code = 0
    finally:
        os._exit(code)


def _leave(answer: int, reply: tuple[str, Any]) -> None:
    try:
        data = pickle.dumps(reply, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:  # an exception of a library, made in C++
        error = reply[1]
        data = pickle.dumps(("error", RuntimeError(f"{type(error).__name__}: {error}")))
    with os.fdopen(os.dup(answer), "wb") as file:
        file.write(data)


def _live_apart(printed: int) -> None:
    """Ends with the caller, hears no interrupts, and prints where the caller can look."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, int(signal.SIGKILL))
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    for stream in (1, 2):
        os.dup2(printed, stream)
    faulthandler.disable()  # the caller tells of a crash


def _obey(limits: Limits) -> None:
    def time_is_up(_signum: int, _frame: FrameType | None) -> NoReturn:
        raise _TimeIsUp

    signal.signal(signal.SIGXCPU, time_is_up)
    used = time.process_time()  # a copy starts at 0, but for where it does not
    seconds = max(1, int(used + limits.seconds))
    _lower(resource.RLIMIT_CPU, seconds, seconds + _GRACE_S)
    _lower(resource.RLIMIT_DATA, _held() + limits.memory, None)
    _lower(resource.RLIMIT_CORE, 0, None)


def _held() -> int:
    """Bytes of memory that the caller held already, and the copy shares."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
        return pages * mmap.PAGESIZE
    return 0


def _lower(what: int, soft: int, hard: int | None) -> None:
    """Sets a limit, but never above one that holds already."""
    _, most = resource.getrlimit(what)
    ceiling = most if most != resource.RLIM_INFINITY else max(soft, hard or soft)
    resource.setrlimit(what, (min(soft, ceiling), most if hard is None else min(hard, ceiling)))


def _unlimit() -> None:
    """Leaves memory for the answer."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _wait(pid: int, wall_s: float) -> tuple[int, float, bool]:
    """Waits for the copy; ends it when the clock says so, or when the caller is interrupted.

    Returns:
        Its status, the processor seconds that it took, and whether the clock ended it.
    """
    deadline = time.monotonic() + wall_s
    pause, timed_out = 0.0005, False
    try:
        while True:
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                return status, usage.ru_utime + usage.ru_stime, timed_out
            if not timed_out and time.monotonic() > deadline:
                timed_out = True
                os.kill(pid, signal.SIGKILL)
            time.sleep(pause)
            pause = min(0.01, pause * 1.2)
    except BaseException:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise


def _result(code: int, in_time: bool, at: str, answer: int, printed: int) -> Any:
    """What the copy left, raised where it is an error."""
    if code == 0:
        os.lseek(answer, 0, os.SEEK_SET)
        with os.fdopen(os.dup(answer), "rb") as file:
            kind, value = pickle.load(file)
        if kind == "value":
            return value
        raise EndedError(value, at) if kind == "ended" else value
    words = _read(printed)
    killed = code == -signal.SIGKILL
    if not in_time or code == -signal.SIGXCPU:
        raise EndedError(Ending.TIME, at)
    if killed or any(text in words for text in _OUT_OF_MEMORY):
        raise EndedError(
            Ending.MEMORY, at, printed=words
        )  # the system kills when its memory is gone
    name = signal.Signals(-code).name if code < 0 else f"code {code}"
    raise EndedError(Ending.SIGNAL, at, name, words)


def _text(trail: mmap.mmap) -> str:
    return trail[:].partition(b"\0")[0].decode("utf-8", "replace")


def _read(printed: int) -> str:
    size = os.fstat(printed).st_size
    os.lseek(printed, max(0, size - 4000), os.SEEK_SET)
    return os.read(printed, 4000).decode("utf-8", "replace")
