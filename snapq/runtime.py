"""ONNX Runtime in this process: the one place that imports it.

ONNX Runtime's telemetry is switched off before the first import, for this process and for every
process that it starts.
"""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from types import ModuleType

from snapq.errors import InstallError

TELEMETRY_OFF = {"ORT_DISABLE_TELEMETRY": "1"}
PROCESSORS_VARIABLE = "SNAPQ_PROCESSORS"
"""How many processors to use, where that is fewer than there are: on a worker of a cluster."""


def import_onnxruntime() -> ModuleType:
    """Imports ONNX Runtime with its telemetry off.

    Raises:
        InstallError: onnxruntime is not installed or does not load.
    """
    os.environ.update(TELEMETRY_OFF)
    try:
        import onnxruntime
    except ImportError as error:
        raise InstallError(
            f"ONNX Runtime cannot be imported ({error}).", hint="Run: pip install onnxruntime"
        ) from error
    onnxruntime.set_default_logger_severity(3)
    return onnxruntime  # type: ignore[no-any-return]


def release_memory() -> None:
    """Lets go of what nobody needs any more; graphs are circles, which only the collector finds."""
    gc.collect()
    trim_memory()


def trim_memory() -> None:
    """Gives freed memory back to the system, of which the C library keeps what lies in between."""
    with suppress(OSError, AttributeError, TypeError):  # the GNU C library has it
        ctypes.CDLL(None).malloc_trim(0)


def processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    there = len(affinity(0)) if affinity else os.cpu_count() or 1
    given = os.environ.get(PROCESSORS_VARIABLE, "")
    return min(there, max(1, int(given))) if given.isdecimal() else there
