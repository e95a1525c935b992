"""Ctrl-C and a request to end: whenever they come, the command ends and nothing is left."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

AGAIN_S = 0.05


def listen() -> None:
    """Ends the command by `KeyboardInterrupt` at Ctrl-C and at SIGTERM, and never loses one.

    Python drops an exception in a place that cannot raise it, such as a finalizer or a callback of
    a weak reference, and imports are full of these. An interrupt that is dropped there is raised
    again as soon as the program has left it.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGALRM, _interrupt)
    sys.unraisablehook = _raise_again


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _raise_again(dropped: UnraisableHookArgs) -> None:
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
    else:
        sys.__unraisablehook__(dropped)
