"""ONNX Runtime in this process: the one place that imports it.

ONNX Runtime's telemetry is switched off before the first import, for this process and for every
process that it starts.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import product
from pathlib import Path
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


@contextmanager
def old_objects_set_aside() -> Iterator[None]:
    """Lets the garbage collector look at what is made from here on alone, and then at all again.

    Imported libraries are hundreds of thousands of objects, none of which is garbage: to look
    through them takes 0.1 s each time. Where the caller has set objects aside, all stays.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def trim_memory() -> None:
    """Gives freed memory back to the system, of which the C library keeps what lies in between."""
    with suppress(OSError, AttributeError, TypeError):  # the GNU C library has it
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def products_in_one_thread() -> Iterator[None]:
    """Lets numpy's OpenBLAS use one thread, and then as many as before.

    Threads of matrix products wait for each other at work: on a busy machine a factorization of 672
    inputs takes 300 ms of two processors, of one 6. Where numpy has another library, all stays.
    """
    limits = _openblas()
    if limits is None:
        yield
        return
    get, limit = limits
    before = get()
    limit(1)
    try:
        yield
    finally:
        limit(before)


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], object]] | None:
    """What gives, and what sets, the number of threads of the OpenBLAS that numpy came with."""
    import numpy

    beside = Path(numpy.__file__).parent
    folders = (beside.with_name("numpy.libs"), beside / ".dylibs")
    for path in (found for folder in folders for found in sorted(folder.glob("*openblas*"))):
        with suppress(OSError):
            library = ctypes.CDLL(str(path))
            for prefix, suffix in product(("scipy_", ""), ("64_", "")):
                with suppress(AttributeError):
                    name = f"{prefix}openblas_{{}}_num_threads{suffix}"
                    return getattr(library, name.format("get")), getattr(
                        library, name.format("set")
                    )
    return None


def processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    there = len(affinity(0)) if affinity else os.cpu_count() or 1
    given = os.environ.get(PROCESSORS_VARIABLE, "")
    return min(there, max(1, int(given))) if given.isdecimal() else there
