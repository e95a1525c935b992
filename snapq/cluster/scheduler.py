"""The connection to a Dask scheduler: reached or told why not, its workers, and calls on them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from snapq.cluster.library import library
from snapq.errors import ClusterError

__all__ = ["GoneError", "Scheduler"]

_CONNECT_S = 10
_FIRST_WORKER_S = 20.0
_FRESH_S = 0.25
"""So long what the scheduler said of its workers counts as new."""


class GoneError(Exception):
    """A worker ended, or its files are not there any more."""


class Scheduler:
    """A connection to `tcp://HOST:PORT` or `tls://HOST:PORT`; may be used from several threads.

    Raises:
        InstallError: dask.distributed is missing.
        ClusterError: no scheduler answers.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._distributed = library()
        self.client = self._connected()
        self._asking = threading.Lock()
        self._listed: dict[str, Any] = {}
        self._listed_at = float("-inf")

    @property
    def killed_worker(self) -> type[Exception]:
        """What Dask raises of a task that ended several workers."""
        found: type[Exception] = self._distributed.scheduler.KilledWorker
        return found

    def workers(self, *, now: bool = False) -> Mapping[str, Any]:
        """What it says of each worker, by address; a little old where it need not be of `now`."""
        with self._asking:
            if now or time.monotonic() - self._listed_at > _FRESH_S:
                # Who waits for an answer hears where the scheduler is gone.
                with suppress(Exception):
                    self._listed = self.client.scheduler_info(n_workers=-1)["workers"]
                self._listed_at = time.monotonic()
            return self._listed

    def wait_for(self, workers: int) -> None:
        """Waits until so many workers are there. Raises `ClusterError` where there is none."""
        with suppress(Exception):
            self.client.wait_for_workers(workers, timeout=_FIRST_WORKER_S)
        if not self.workers(now=True):
            raise ClusterError(
                "The Dask scheduler has no worker.",
                where=self.address,
                hint=f"Start one where snapq is installed: dask worker {self.address}",
            )

    def ask(
        self, function: Callable[..., Any], *args: Any, workers: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """What a function says, or raises, on these workers or on all, by address.

        Raises:
            ClusterError: they do not answer.
        """
        try:
            found: dict[str, Any] = self.client.run(
                function, *args, workers=workers, on_error="return"
            )
        except Exception as error:
            raise ClusterError(
                f"The workers do not answer: {type(error).__name__}.", where=self.address
            ) from error
        return found

    def on(self, worker: str, function: Callable[..., Any], *args: Any) -> Any:
        """What a function says on one worker. Raises `GoneError` where that ended."""
        try:
            return self.client.run(function, *args, workers=[worker])[worker]
        except Exception as error:
            raise GoneError from error

    def answers(self) -> bool:
        """Whether it is there; Dask connects again by itself where that helps."""
        deadline = time.monotonic() + _CONNECT_S
        while time.monotonic() < deadline and self.client.status != "closed":
            if self.client.status == "running":
                return True
            time.sleep(0.2)
        return False

    def lost(self) -> ClusterError:
        """The error for a scheduler that does not answer any more."""
        return ClusterError(
            "The connection to the Dask scheduler is lost.",
            where=self.address,
            hint="What is done is kept; start the scheduler again and repeat the command.",
        )

    def close(self) -> None:
        """Lets go of it."""
        with suppress(Exception):
            self.client.close(timeout=5)

    def _connected(self) -> Any:
        try:
            host, _, port = self.address.partition("://")[2].rpartition(":")
            # Dask goes on trying for all of its time where nobody listens.
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
            return self._distributed.Client(
                self.address, timeout=_CONNECT_S, set_as_default=False, name="snapq"
            )
        except Exception as error:  # what another program there says is no error of Dask's
            text = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ClusterError(
                f"No Dask scheduler can be reached: {text.splitlines()[0].rstrip('.')}.",
                where=self.address,
                hint="Start one with `dask scheduler` and workers with `dask worker`, or use "
                "--cluster local:4.",
            ) from error
