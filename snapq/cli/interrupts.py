"""Ctrl-C, a request to end and a closed terminal: the command ends and nothing is left."""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING

from snapq.workers import forked

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN_S = 0.05
_LONGEST_S = 10.0
"""What takes longer is interrupted whatever comes of it."""
_IMPORT = "<frozen importlib._bootstrap>"
_FORK = forked.start_copy.__code__


def listen() -> None:
    """Ends the command by `KeyboardInterrupt` at Ctrl-C, SIGTERM and SIGHUP, and never loses one.

    1. Within an import the interrupt waits until that is over: libraries in C++ abort the program
       where one of their imports raises. The same holds while the process copies itself: what
       libraries do before and behind a fork belongs together.
    2. Python drops an exception in a place that cannot raise it, such as a finalizer or a callback
       of a weak reference. An interrupt that is dropped there is raised again as soon as the
       program has left it.
    3. Where SIGHUP is ignored from the start it stays so: that is what `nohup` asks for.
    """
    waiting = _Waiting()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, waiting.interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, waiting.interrupt)
    sys.unraisablehook = _raise_again


class _Waiting:
    """Raises interrupts, those within an import or a fork a little later."""

    def __init__(self) -> None:
        self._since: float | None = None

    def interrupt(self, _signum: int, frame: FrameType | None) -> None:
        """Handles a signal."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if _must_end_first(frame) and now < self._since + _LONGEST_S:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
            return
        self._since = None
        raise KeyboardInterrupt


def _must_end_first(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT or frame.f_code is _FORK:
            return True
        frame = frame.f_back
    return False


def _raise_again(dropped: UnraisableHookArgs) -> None:
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        sys.__unraisablehook__(dropped)
