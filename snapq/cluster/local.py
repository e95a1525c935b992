"""Dask workers on this machine for as long as one command runs.

They are plain processes of `python -m dask worker`, so scripts and notebooks need no
`if __name__ == "__main__"`. They hear no Ctrl-C of the terminal: who started them ends them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from snapq.cluster.library import library
from snapq.errors import ClusterError
from snapq.runtime import TELEMETRY_OFF, processors
from snapq.scratch import Scratch

__all__ = ["local_workers"]

_SHARE = 0.9
"""Of the memory that is free."""


@contextmanager
def local_workers(count: int) -> Iterator[str]:
    """Starts a scheduler in this process and `count` workers, with one task at once each.

    Yields:
        The scheduler's address, which only this machine reaches.

    Raises:
        InstallError: dask.distributed is missing.
        ClusterError: the scheduler does not start.
    """
    distributed = library()
    with Scratch() as scratch:
        scheduler = _scheduler(distributed)
        workers: list[subprocess.Popen[bytes]] = []
        try:
            address = scheduler.scheduler_address
            for index in range(count):
                # One by one, so that those that started are ended whatever happens.
                workers += [_start(address, index, count, scratch.path)]
            yield str(scheduler.scheduler_address)
        finally:
            _end(workers)
            with suppress(Exception):
                scheduler.close(timeout=5)
            _end(workers, kill=True)


def _scheduler(distributed: Any) -> Any:
    try:
        return distributed.LocalCluster(
            n_workers=0,
            protocol="tcp",
            host="127.0.0.1",
            scheduler_port=0,
            dashboard_address="127.0.0.1:0",
            silence_logs=False,
        )
    except Exception as error:
        raise ClusterError(
            f"The Dask scheduler does not start: {type(error).__name__}: {error}",
            where="--cluster",
            hint="Leave --cluster out.",
        ) from error


def _start(address: str, index: int, count: int, folder: Path) -> subprocess.Popen[bytes]:
    import psutil

    memory = int(_SHARE * psutil.virtual_memory().available / count)
    path = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    arguments = [
        *("--name", f"local-{index}", "--nthreads", "1", "--memory-limit", str(memory)),
        *("--local-directory", str(folder / "dask"), "--host", "127.0.0.1"),
        *("--no-dashboard", "--death-timeout", "60"),
    ]
    with (folder / f"worker-{index}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "dask", "worker", address, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={
                **os.environ,
                **TELEMETRY_OFF,
                "PYTHONPATH": os.pathsep.join(filter(None, path)),
                "OMP_NUM_THREADS": str(max(1, processors() // count)),
            },
            start_new_session=True,
        )


def _end(workers: list[subprocess.Popen[bytes]], *, kill: bool = False) -> None:
    """Ends the workers with all that they started."""
    import psutil

    for worker in workers:
        with suppress(psutil.Error):
            children = psutil.Process(worker.pid).children(recursive=True)
            for process in [*children, psutil.Process(worker.pid)] if kill else []:
                with suppress(psutil.Error):
                    process.kill()
        if not kill:
            worker.terminate()
    for worker in workers if kill else []:
        worker.wait()
