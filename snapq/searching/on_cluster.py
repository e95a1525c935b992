"""Trials on the workers of a cluster; what they keep comes into the stage cache here."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path

from snapq.cluster.connection import Cluster, Ticket
from snapq.errors import SnapqError
from snapq.pipeline.localize import without
from snapq.pipeline.shipping import ship, submit
from snapq.searching.specs import TrialOutcome, TrialSpec, configuration

__all__ = ["Trials"]

Evaluate = Callable[[TrialSpec], TrialOutcome]


class Trials:
    """Takes trials as an executor does.

    Secrets do not travel: a deploy.yaml that names some finds them in the worker's environment, or
    the trial fails and says which.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._tickets: list[Ticket] = []

    def submit(self, function: Evaluate, spec: TrialSpec, /) -> Future[TrialOutcome]:
        """Begins a trial; where its files cannot be read, the future raises that."""
        found: Future[TrialOutcome] = Future()
        try:
            shipment = ship(self._cluster, configuration(spec))
            bare = replace(spec, config="", folder="", cache="")
            work = partial(_evaluate, function, bare, shipment.folder)
            ticket = submit(self._cluster, work, spec.config, shipment, Path(spec.cache))
        except SnapqError as error:
            found.set_exception(error)
            return found
        self._tickets.append(ticket)
        ticket.future.add_done_callback(partial(_pass_on, found, spec))
        return found

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Takes back every trial, also those that run."""
        for ticket in self._tickets if cancel_futures else []:
            ticket.cancel()


def _pass_on(found: Future[TrialOutcome], spec: TrialSpec, done: Future[TrialOutcome]) -> None:
    """The artifacts are here by now, so this machine has them."""
    if done.cancelled():
        found.cancel()
    elif (error := done.exception()) is not None:
        found.set_exception(error)
    else:
        outcome = done.result()
        found.set_result(replace(outcome, host=socket.gethostname(), cache=spec.cache))


def _evaluate(
    function: Evaluate, spec: TrialSpec, folder_here: str, text: str, folder: str, cache: str
) -> TrialOutcome:
    """On the worker: the trial, and its outcome with the paths that files have at the client."""
    outcome = function(replace(spec, config=text, folder=folder, cache=cache))
    root = folder.removesuffix(folder_here)
    return TrialOutcome.from_json(without(outcome.to_json(), root))
