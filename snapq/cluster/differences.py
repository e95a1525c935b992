"""Whether a worker would compute what this machine computes, and the sentence where not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapq.cluster.remote import Identity
from snapq.errors import ClusterError

__all__ = ["check_same", "stranger"]

CODE = "code"
"""Key of the fingerprint of snapq's own code, which is no version to be shown."""


def check_same(wanted: Mapping[str, str], found: Any, worker: str) -> Identity:
    """What a worker says of itself.

    Args:
        wanted: what results depend on here.
        found: what the worker said, or the exception that it raised.
        worker: its address.

    Raises:
        ClusterError: snapq is not installed there, or something differs.
    """
    if isinstance(found, Identity):
        if dict(found.about) != dict(wanted):
            raise stranger(wanted, found.about, worker)
        return found
    if isinstance(found, ImportError | AttributeError):
        raise ClusterError(
            f"A worker has no snapq, or another version of it ({found}).",
            where=worker,
            hint="Install this version of snapq in the environment in which `dask worker` runs.",
        )
    raise ClusterError(
        f"A worker does not say what it is: {type(found).__name__}: {found}",
        where=worker,
        hint="See the log of the Dask workers.",
    )


def stranger(wanted: Mapping[str, str], found: Mapping[str, str], worker: str) -> ClusterError:
    """The error for a worker on which something differs that results depend on."""
    names = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    told = [
        f"{name} {found.get(name, 'missing')} (here {wanted.get(name, 'missing')})"
        for name in names
        if name != CODE
    ]
    listed = ", ".join(told) or "other files of snapq, though the same version"
    return ClusterError(
        f"A worker would not compute the same: it has {listed}.",
        where=worker,
        hint="Install the same versions there: pip install -c constraints.txt, from one lock file.",
    )
