"""Matrix products in one thread: the same to the bit on any machine, and not slowed by others.

OpenBLAS parts a product among as many threads as there are processors. The last bits hang on how
many those are; and on a machine that is busy the threads wait for each other, and spin: the same
cut took 2.5 times the processor time, and Watch channels 20 times the time of the clock.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_MAPPED = Path("/proc/self/maps")
_NAMES = (
    "scipy_openblas_{}_num_threads64_",
    "openblas_{}_num_threads64_",
    "openblas_{}_num_threads",
)


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets products of NumPy take one thread while the block runs.

    Nothing is changed where it has another library than OpenBLAS.
    """
    found = _threads()
    if found is None:
        yield
        return
    ask, say = found
    before = ask()
    say(1)
    try:
        yield
    finally:
        say(before)


@functools.cache
def _threads() -> tuple[Any, Any] | None:
    """What gets and sets the number of threads of NumPy's OpenBLAS; None where it has another."""
    with suppress(OSError):
        lines = _MAPPED.read_text(encoding="utf-8", errors="replace").splitlines()
        paths = {line.split(maxsplit=5)[-1] for line in lines if "openblas" in line}
        for path in sorted(paths):
            library = ctypes.CDLL(path)
            for name in _NAMES:
                asking, saying = name.format("get"), name.format("set")
                if hasattr(library, saying):
                    return getattr(library, asking), getattr(library, saying)
    return None
