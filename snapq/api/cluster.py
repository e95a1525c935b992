"""Where work goes: to this process alone, or to a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from snapq.progress import Progress, Silent

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from snapq.cluster.connection import Cluster


def connected(
    cluster: str | None, progress: Progress | None = None
) -> AbstractContextManager[Cluster | None]:
    """Sends what can be done side by side to a cluster while the block runs.

    Args:
        cluster: `dask://HOST:PORT`, `tls://HOST:PORT`, `local:4`, `local`; None for no cluster.
        progress: told of the cluster and its workers.

    Raises:
        ConfigError: `cluster` names none.
        InstallError: dask.distributed is missing.
        ClusterError: it cannot be reached, or its workers would compute something else.
    """
    return nullcontext() if cluster is None else _connected(cluster, progress or Silent())


@contextmanager
def _connected(text: str, progress: Progress) -> Iterator[Cluster]:
    from snapq.cluster.current import connected as connect
    from snapq.stages.artifact import computing

    with connect(text, computing, progress.say) as found:
        yield found
