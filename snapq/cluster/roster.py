"""The workers of a cluster: greeted, checked, and missed when they are gone."""

from __future__ import annotations

import threading
from collections.abc import Callable

from snapq.cluster import remote
from snapq.cluster.differences import check_same
from snapq.cluster.remote import About, Identity
from snapq.cluster.scheduler import GoneError, Scheduler

__all__ = ["Roster", "counted"]


class Roster:
    """Who is there, and what each said of itself.

    Args:
        scheduler: the connection.
        about: what results depend on beside their inputs.
        say: told what the user should know.
    """

    def __init__(self, scheduler: Scheduler, about: About, say: Callable[[str], None]) -> None:
        self._scheduler = scheduler
        self._about = about
        self._say = say
        self._lock = threading.Lock()
        self._known: dict[str, Identity] = {}
        self._seen: dict[str, str] = {}
        self.wanted = dict(about())
        """What every worker has to say."""
        self.lost = 0
        """How many are gone."""

    @property
    def slots(self) -> int:
        """Tasks that run at once."""
        workers = self._scheduler.workers().values()
        return max(1, sum(int(worker["nthreads"]) for worker in workers))

    def greet(self) -> None:
        """Refuses workers that would not compute the same, and tells of the others.

        Raises:
            ClusterError: a worker does not fit.
        """
        for address, found in self._scheduler.ask(remote.identity, self._about).items():
            self._known[address] = check_same(self.wanted, found, address)
        self.look()
        known = self._known.values()
        least = min((one.memory or 0 for one in known), default=0)
        store = min((one.store_bytes for one in known), default=0)
        bound = f"at most {least / 1e9:.1f} GB" if least else "no bound (--memory-limit 0)"
        self._say(
            f"Cluster: {counted(len(known), 'worker')} on "
            f"{counted(len({one.host for one in known}), 'host')}, {counted(self.slots, 'task')} "
            f"at once, {bound} of memory a worker and {store / 1e9:.3g} GB of files a host."
        )
        own = remote.processor_features()
        if any(one.processor != own for one in known):
            self._say(
                "Cluster: processors of the workers are of another kind than this one; what is "
                "computed in float on them may differ in the last digits."
            )

    def look(self, *, now: bool = False) -> bool:
        """Tells of workers that are gone; returns whether one is left."""
        workers = self._scheduler.workers(now=now)
        with self._lock:
            gone = {name: self._seen.pop(name) for name in [*self._seen] if name not in workers}
            self._seen.update({name: str(worker["host"]) for name, worker in workers.items()})
            self.lost += len(gone)
            for address in gone:
                self._known.pop(address, None)
        for address, host in gone.items():
            self._say(f"Cluster: the worker {address} on {host} is gone; others do its tasks.")
        return bool(workers)

    def identity(self, worker: str) -> Identity:
        """What a worker said of itself, which may have come later than the others.

        Raises:
            ClusterError: it does not fit.
            GoneError: it ended.
        """
        with self._lock:
            known = self._known.get(worker)
        if known is not None:
            return known
        said = self._scheduler.ask(remote.identity, self._about, workers=[worker]).get(worker)
        if said is None or isinstance(said, OSError):
            raise GoneError
        found = check_same(self.wanted, said, worker)
        with self._lock:
            self._known[worker] = found
        return found


def counted(number: int, name: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"
