"""A search as it is stored: what it varies, what is done, what to try next.

One process, several on one storage, or one that hands trials out can work on it: what is asked is
marked as running, what is told stays. Nothing of it holds a secret.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapq.errors import StorageError
from snapq.searching import owner, sampling, storing
from snapq.searching.plan import Plan
from snapq.searching.ranked import Told, beyond, float_margin, good, margin, rivals
from snapq.searching.trial import (
    COMPLETE,
    FAILED,
    PRUNED,
    Limits,
    Rival,
    TrialOutcome,
    TrialSpec,
    digest,
    evaluate,
)
from snapq.stages.artifact import computing

if TYPE_CHECKING:
    import optuna

    from snapq.progress import Progress

ATTRIBUTE, COMPUTING, SEEN = "snapq", "snapq-computing", "snapq-seen"
RUNNING, REPEATED, INTERRUPTED = "running", "repeated", "interrupted"
UNLIMITED = Limits()
_DONE = (COMPLETE, PRUNED, FAILED)
_REPEATS = 3
"""So often a point that is known is asked for anew; then one beside it is taken."""
_PARENTS, _PAIRS = 8, 200
"""Points that are combined, and pairs of them that are looked at for one that is new."""
_TRIED = 2000
"""Choices that are looked at for one that is new."""
_ASKING = timedelta(minutes=1)
"""So long after a trial was begun its process has said what it is."""


class Study:
    """A search in a storage.

    Args:
        storage: URL of the storage.
        name: of the study there.
        plan: what it is of; None reads it from the storage.

    Raises:
        StorageError: there is no such study, or the storage does not answer.
    """

    def __init__(self, storage: str, name: str, plan: Plan | None = None) -> None:
        opened = storing.opened(storage)
        if plan is None:
            plan = _kept_plan(opened, name, storage)
        known = {one.study_name: one for one in _summaries(opened)}
        count = known[name].n_trials if name in known else 0
        self.plan, self.name = plan, name
        self._study = storing.study(opened, name, sampling.sampler(plan.sampler, plan.seed + count))
        if ATTRIBUTE not in self._study.user_attrs:
            self._study.set_user_attr(COMPUTING, computing())
            self._study.set_user_attr(ATTRIBUTE, plan.to_json())
            if plan.sampler != "random":
                for first in plan.first:
                    self._study.enqueue_trial(sampling.parameters(plan.space, first))
        self._distributions = sampling.distributions(plan.space)
        self._digests = self._known_digests()
        self.spent = False
        """Whether `ask` found no point that nobody has tried."""

    @staticmethod
    def exists(storage: str, name: str) -> bool:
        """Whether a storage has a study of this name. Raises `StorageError`."""
        return any(one.study_name == name for one in _summaries(storing.opened(storage)))

    @staticmethod
    def names(storage: str) -> list[str]:
        """The searches of a storage. Raises `StorageError`."""
        found = _summaries(storing.opened(storage))
        return sorted(one.study_name for one in found if ATTRIBUTE in one.user_attrs)

    def computing(self) -> dict[str, str]:
        """What results depend on beside their inputs, as it was where the search was begun."""
        return dict(self._study.user_attrs.get(COMPUTING, {}))

    def told(self) -> list[Told]:
        """All trials that are done, in the order of their numbers."""
        found = []
        for trial in self._study.get_trials(deepcopy=False):
            kept = trial.user_attrs.get(ATTRIBUTE)
            if kept is not None and kept["state"] in _DONE and trial.state.is_finished():
                outcome = TrialOutcome.from_json(kept["outcome"])
                found.append(Told(kept["choices"], outcome))
        return found

    def running(self) -> int:
        """How many trials are handed out and not told yet."""
        state: Any = storing.library().trial.TrialState.RUNNING
        return len(self._study.get_trials(deepcopy=False, states=(state,)))

    def earlier(self, number: int) -> int:
        """How many trials with smaller numbers are done, or with somebody."""
        states = (*_DONE, RUNNING)
        trials = self._study.get_trials(deepcopy=False)[:number]
        return sum(one.user_attrs.get(ATTRIBUTE, {}).get("state") in states for one in trials)

    def ask(self, cache: Path, limits: Limits = UNLIMITED) -> TrialSpec | None:
        """The next trial; None where every point of the space is done.

        Args:
            cache: folder of the stage cache.
            limits: what points have to keep.
        """
        self._digests = {**self._known_digests(), **self._digests}  # others ask too
        self._combine(limits)
        for attempt in range(_REPEATS + 1):
            trial = self._study.ask(self._distributions)
            choices = sampling.choices(self.plan.space, trial.params)
            spec = self._spec(trial.number, choices, cache, limits)
            if spec.digest not in self._digests:
                self._digests[spec.digest] = trial.number
                kept = {"state": RUNNING, "choices": choices, "digest": spec.digest}
                trial.set_user_attr(ATTRIBUTE, {**kept, "owner": owner.owner()})
                return spec
            self._repeat(trial, self._digests[spec.digest])
            if attempt == _REPEATS - 1:
                other = self._unknown(choices, f"{self.plan.seed} {trial.number}")
                if other is None:
                    self.spent = True
                    return None
                self._study.enqueue_trial(sampling.parameters(self.plan.space, other))
        return None

    def _combine(self, limits: Limits) -> None:
        """Has two of three points of TPE put together what good ones changed, once it proposes."""
        plan, told = self.plan, self.told()
        number = len(self._study.get_trials(deepcopy=False))
        if plan.sampler != "tpe" or len(told) < len(plan.first) or not number % 3:
            return
        waiting: Any = storing.library().trial.TrialState.WAITING
        parents = good(told, limits, _PARENTS)
        if not parents or self._study.get_trials(deepcopy=False, states=(waiting,)):
            return
        seed = f"{plan.seed} {number}"
        found = sampling.together(plan.space, plan.first[0], parents, seed, _PAIRS)
        new = next((one for one in found if self._digest(one) not in self._digests), None)
        if new is not None:
            self._study.enqueue_trial(sampling.parameters(plan.space, new))

    def _unknown(self, proposed: Mapping[str, Any], seed: str) -> dict[str, Any] | None:
        """A choice that nobody has tried; None where there seems to be none.

        It is beside what was proposed, but of a search that is random.
        """
        space = self.plan.space
        tried = sampling.some(space, seed, _TRIED)
        if self.plan.sampler != "random":
            tried = itertools.chain(sampling.beside(space, proposed, seed), tried)
        return next((one for one in tried if self._digest(one) not in self._digests), None)

    def tell(self, spec: TrialSpec, outcome: TrialOutcome) -> Told | None:
        """Keeps what came of a trial; None where it was taken over meanwhile."""
        if self._is_finished(spec.number):
            return None
        choices = self.choices(spec.number)
        kept = {"state": outcome.state, "choices": choices, "digest": spec.digest}
        self._keep(spec.number, {**kept, "outcome": outcome.to_json()})
        values = self._values(outcome)
        if values is None:
            self._finish(spec.number, None)
        else:
            self._set(spec.number, sampling.CONSTRAINTS, beyond(outcome, spec.limits, values[1]))
            self._finish(spec.number, values)
        return Told(choices, outcome)

    def choices(self, number: int) -> dict[str, Any]:
        """What a trial is, by dimension."""
        return dict(self._kept(number)["choices"])

    def give_back(self, number: int) -> None:
        """Notes that a trial was begun and not done: it is the next one that is asked for."""
        if self._is_finished(number):  # somebody took it over
            return
        kept = self._kept(number)
        self._keep(number, {**kept, "state": INTERRUPTED})
        self._digests.pop(kept["digest"], None)
        self._finish(number, None)
        parameters = sampling.parameters(self.plan.space, kept["choices"])
        self._study.enqueue_trial(parameters)

    def take_over(self) -> int:
        """Gives back what processes began that are no longer there: how many.

        A process of another machine counts as gone that gave no sign of life for long.
        """
        count = 0
        for trial in self._study.get_trials(deepcopy=False):
            kept = trial.user_attrs.get(ATTRIBUTE)
            if trial.state.name != "RUNNING":
                continue
            if kept is None:
                begun = trial.datetime_start
                if begun is None or datetime.now() - begun > _ASKING:  # killed while it asked
                    self._finish(trial.number, None)
            elif owner.is_gone(kept["owner"], trial.user_attrs.get(SEEN)):
                self.give_back(trial.number)
                count += 1
        return count

    @contextmanager
    def held(self, number: int) -> Iterator[None]:
        """Gives signs of life for a trial while the block runs."""
        with owner.signs(lambda: self.beat(number)):
            yield

    def beat(self, number: int) -> bool:
        """A sign of life for a trial; whether it is still there to be told."""
        try:
            if self._is_finished(number):
                return False
            self._set(number, SEEN, time.time())
        except Exception:  # the trial goes on; a database that is away may come back
            return True
        return True

    def step(
        self, cache: Path, limits: Limits = UNLIMITED, progress: Progress | None = None
    ) -> TrialOutcome | None:
        """Asks for one trial, does it here and tells it; None where there is none left."""
        spec = self.ask(cache, limits)
        if spec is None:
            return None
        try:
            with self.held(spec.number):
                outcome = evaluate(spec, progress)
        except BaseException:
            self.give_back(spec.number)
            raise
        self.tell(spec, outcome)
        return outcome

    def rivals(self, limits: Limits) -> tuple[Rival, ...]:
        """The frontier of what is simulated and keeps the limits, fastest first."""
        return rivals(self.told(), limits)

    def _spec(
        self, number: int, choices: Mapping[str, Any], cache: Path, limits: Limits
    ) -> TrialSpec:
        plan, told = self.plan, self.told()
        return TrialSpec(
            number=number,
            config=self._config(choices),
            folder=plan.folder,
            cache=str(cache.absolute()),
            device=plan.device,
            random_inputs=plan.random_inputs,
            layers=plan.space.precisions(choices),
            secrets=plan.secrets,
            base=plan.float_values or {},
            frontier=rivals(told, limits),
            margin=margin(told),
            float_margin=float_margin(told),
            limits=limits,
        )

    def _config(self, choices: Mapping[str, Any]) -> str:
        return json.dumps(self.plan.space.configured(self.plan.base, choices))

    def _digest(self, choices: Mapping[str, Any]) -> str:
        return digest(self._config(choices), self.plan.space.precisions(choices))

    def _values(self, outcome: TrialOutcome) -> tuple[float, float] | None:
        """What Optuna learns of a trial; None of one that failed.

        Of what was not simulated the loss is the best that it could be, or the worst that is known.
        """
        if outcome.us is None:
            return None
        if outcome.loss is not None:
            return outcome.us, outcome.loss
        told = self.told()
        if outcome.near is not None:
            return outcome.us, outcome.near - (margin(told) or 0.0)
        if outcome.float_near is not None:
            return outcome.us, outcome.float_near - (float_margin(told) or 0.0)
        known = [one.outcome.loss for one in told if one.outcome.loss is not None]
        return (outcome.us, max(known)) if known else None

    def _repeat(self, trial: optuna.Trial, earlier: int) -> None:
        """Notes that a point was proposed again."""
        trial.set_user_attr(ATTRIBUTE, {"state": REPEATED, "of": earlier})
        self._finish(trial.number, None)

    def _finish(self, number: int, values: Sequence[float] | None) -> None:
        if values is None:
            self._study.tell(number, state=storing.library().trial.TrialState.FAIL)
        else:
            self._study.tell(number, list(values))

    def _is_finished(self, number: int) -> bool:
        return bool(self._study.get_trials(deepcopy=False)[number].state.is_finished())

    def _kept(self, number: int) -> dict[str, Any]:
        kept: dict[str, Any] = self._study.get_trials(deepcopy=False)[number].user_attrs[ATTRIBUTE]
        return kept

    def _keep(self, number: int, value: Mapping[str, Any]) -> None:
        self._set(number, ATTRIBUTE, value)

    def _set(self, number: int, name: str, value: Any) -> None:
        storage = self._study._storage
        trial = self._study.get_trials(deepcopy=False)[number]
        storage.set_trial_user_attr(trial._trial_id, name, value)

    def _known_digests(self) -> dict[str, int]:
        found = {}
        for trial in self._study.get_trials(deepcopy=False):
            kept = trial.user_attrs.get(ATTRIBUTE)
            if kept is not None and kept["state"] in (*_DONE, RUNNING):
                found[kept["digest"]] = trial.number
        return found


def _summaries(storage: Any) -> Sequence[Any]:
    found: Sequence[Any] = storing.library().get_all_study_summaries(storage)
    return found


def _kept_plan(storage: Any, name: str, url: str) -> Plan:
    """The plan of a study. Raises `StorageError` where there is none."""
    found = {one.study_name: one for one in _summaries(storage)}
    if name not in found or ATTRIBUTE not in found[name].user_attrs:
        there = ", ".join(found) or "none"
        raise StorageError(
            f"There is no search `{name}` in this storage.",
            where=storing.shown(url),
            hint=f"Its searches: {there}. `snapq search DEPLOY.YAML --storage URL` begins one.",
        )
    return Plan.from_json(found[name].user_attrs[ATTRIBUTE])
