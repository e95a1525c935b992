"""Works on a search until its trials are used up: here one by one, or with whoever takes trials."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from snapq.errors import SnapqError
from snapq.progress import Advance, Progress, Silent
from snapq.searching.owner import BEAT_S
from snapq.searching.ranked import Told
from snapq.searching.study import Study
from snapq.searching.trial import FAILED, Limits, TrialOutcome, TrialSpec, evaluate

_HOPELESS = 5
"""So many trials that fail and none that does not: it is not the choices that are at fault."""


class Executor(Protocol):
    """Whoever takes trials: a pool of processes, or a cluster."""

    def submit(
        self, function: Callable[[TrialSpec], TrialOutcome], spec: TrialSpec, /
    ) -> Future[TrialOutcome]:
        """Begins a trial."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends what is not begun."""


@dataclass(frozen=True)
class Work:
    """How a search is worked on.

    Attributes:
        study: the search.
        cache: folder of the stage cache.
        limits: what points have to keep.
        trials: how many there shall be in all, those of earlier runs among them.
        until: a time of `time.monotonic` after which no trial begins; None for no limit.
        told: called with each trial that is done.
        progress: reports the stages of a trial that runs here.
    """

    study: Study
    cache: Path
    limits: Limits
    trials: int
    until: float | None = None
    told: Callable[[Told], None] = lambda _told: None
    progress: Progress = field(default_factory=Silent)

    def left(self) -> int:
        """How many trials may begin; none where time is up."""
        if self.until is not None and time.monotonic() >= self.until:
            return 0
        self.study.take_over()
        return max(0, self.trials - len(self.study.told()) - self.study.running())


Evaluate = Callable[[TrialSpec, Progress | None], TrialOutcome]


def here(work: Work, advance: Advance, do: Evaluate = evaluate) -> None:
    """Does the trials in this process, one after the other.

    A trial that is interrupted is the first one of the next run.

    Args:
        work: the search.
        advance: called with 1 after each.
        do: does a trial.

    Raises:
        SnapqError: the first trials all failed.
    """
    while work.left() > 0:
        spec = work.study.ask(work.cache, work.limits)
        if spec is None:
            return
        if work.study.earlier(spec.number) >= work.trials:  # another one took the last
            work.study.give_back(spec.number)
            return
        try:
            with work.study.held(spec.number):
                outcome = do(spec, work.progress)
        except BaseException:
            work.study.give_back(spec.number)
            raise
        _tell(work, spec, outcome)
        advance(1)


def elsewhere(work: Work, executor: Executor, at_once: int, advance: Advance) -> None:
    """Hands trials out, so many at once; a worker that dies costs its trial.

    Raises:
        SnapqError: the first trials all failed.
    """
    out: dict[Future[TrialOutcome], TrialSpec] = {}
    seen = time.monotonic()
    try:
        while True:
            while len(out) < at_once and work.left() > 0:
                spec = work.study.ask(work.cache, work.limits)
                if spec is None:
                    break
                out[executor.submit(evaluate, spec)] = spec
            if not out:
                return
            done, _ = wait(out, timeout=BEAT_S, return_when=FIRST_COMPLETED)
            if time.monotonic() - seen >= BEAT_S:
                seen = time.monotonic()
                for spec in out.values():
                    work.study.beat(spec.number)
            for future in done:
                spec = out.pop(future)
                _tell(work, spec, _outcome(future, spec))
                advance(1)
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for spec in out.values():
            work.study.give_back(spec.number)
        raise


def _outcome(future: Future[TrialOutcome], spec: TrialSpec) -> TrialOutcome:
    """What came of a trial that ran elsewhere; one that was lost has failed."""
    try:
        return future.result()
    except Exception as error:  # whatever the one who took it says
        text = str(error) if isinstance(error, SnapqError) else f"The worker was lost: {error!r}."
        return TrialOutcome(spec.number, FAILED, " ".join(text.split()), config=spec.config)


def _tell(work: Work, spec: TrialSpec, outcome: TrialOutcome) -> None:
    kept = work.study.tell(spec, outcome)
    if kept is not None:
        work.told(kept)
    told = work.study.told()
    if len(told) == _HOPELESS and all(one.outcome.state == FAILED for one in told):
        raise SnapqError(
            f"The first {_HOPELESS} trials all failed. {told[0].outcome.sentence}",
            where="search",
            hint="Run the deploy.yaml by itself first: snapq run.",
        )
