"""A search as it is stored: what it varies, what is done, what to try next.

One process, several on one storage, or one that hands trials out can work on it: what is asked is
marked as running, what is told stays. Nothing of it holds a secret.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from snapq.errors import StorageError
from snapq.searching import sampling, storing
from snapq.searching.frontier import frontier
from snapq.searching.space import Space
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

ATTRIBUTE, COMPUTING = "snapq", "snapq-computing"
RUNNING, REPEATED, INTERRUPTED = "running", "repeated", "interrupted"
UNLIMITED = Limits()
_DONE = (COMPLETE, PRUNED, FAILED)
_REPEATS = 3
"""So often a point that is known is asked for anew; then any other one is taken."""
_TRIED = 2000
"""Choices that are looked at for one that is new."""
_KNOWN = 5
"""So many simulated points say how near the CPU comes."""
_WIDER = 1.25


@dataclass(frozen=True)
class Plan:
    """What a search is of; the same for all who work on it.

    Attributes:
        name: of the deployment.
        base: the deploy.yaml as JSON values, without secrets, benchmark and `search`.
        folder: of the file.
        device: whose estimate counts.
        space: what is varied.
        first: choices to begin with.
        seed: of what is random.
        sampler: who proposes points.
        random_inputs: whether random inputs stand for data that is not named.
        secrets: names of secret variables that the file has.
        float_values: metrics of the float model as the file has it.
        loss: what the second objective is: a metric's name, `SQNR` or `equal answers`.
        notes: for the reader.
    """

    name: str
    base: Mapping[str, Any]
    folder: str
    device: str
    space: Space
    first: tuple[Mapping[str, Any], ...]
    seed: int
    sampler: str = "tpe"
    random_inputs: bool = False
    secrets: tuple[str, ...] = ()
    float_values: Mapping[str, float] | None = None
    loss: str = "SQNR"
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "space": self.space.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Plan:
        """The opposite of `to_json`."""
        tuples = {name: tuple(values[name]) for name in ("first", "secrets", "notes")}
        return cls(**{**values, **tuples, "space": Space.from_json(values["space"])})


@dataclass(frozen=True)
class Told:
    """A trial that is done.

    Attributes:
        choices: what it is, by dimension.
        outcome: what came of it.
    """

    choices: Mapping[str, Any]
    outcome: TrialOutcome


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
        for attempt in range(_REPEATS + 1):
            trial = self._study.ask(self._distributions)
            choices = sampling.choices(self.plan.space, trial.params)
            spec = self._spec(trial.number, choices, cache, limits)
            if spec.digest not in self._digests:
                self._digests[spec.digest] = trial.number
                kept = {"state": RUNNING, "choices": choices, "digest": spec.digest}
                trial.set_user_attr(ATTRIBUTE, {**kept, "owner": _owner()})
                return spec
            self._repeat(trial, self._digests[spec.digest])
            if attempt == _REPEATS - 1:
                other = self._unknown(f"{self.plan.seed} {trial.number}")
                if other is None:
                    return None
                self._study.enqueue_trial(sampling.parameters(self.plan.space, other))
        return None

    def _unknown(self, seed: str) -> dict[str, Any] | None:
        """A choice that nobody has tried; None where there seems to be none."""
        space = self.plan.space
        tried = sampling.some(space, seed, _TRIED)
        return next((one for one in tried if self._digest(one) not in self._digests), None)

    def tell(self, spec: TrialSpec, outcome: TrialOutcome) -> Told:
        """Keeps what came of a trial."""
        choices = self._kept(spec.number)["choices"]
        kept = {"state": outcome.state, "choices": choices, "digest": spec.digest}
        self._keep(spec.number, {**kept, "outcome": outcome.to_json()})
        values = self._values(outcome)
        if values is None:
            self._finish(spec.number, None)
        else:
            beyond = _beyond(outcome, spec.limits, values[1])
            self._set(spec.number, sampling.CONSTRAINTS, beyond)
            self._finish(spec.number, values)
        return Told(choices, outcome)

    def give_back(self, number: int) -> None:
        """Notes that a trial was begun and not done: it is the next one that is asked for."""
        kept = self._kept(number)
        self._keep(number, {**kept, "state": INTERRUPTED})
        self._digests.pop(kept["digest"], None)
        self._finish(number, None)
        parameters = sampling.parameters(self.plan.space, kept["choices"])
        self._study.enqueue_trial(parameters)

    def take_over(self) -> int:
        """Gives back what processes of this machine began that are no longer there: how many."""
        count = 0
        for trial in self._study.get_trials(deepcopy=False):
            kept = trial.user_attrs.get(ATTRIBUTE)
            if trial.state.name != "RUNNING":
                continue
            if kept is None:  # killed between two steps of asking
                self._finish(trial.number, None)
            elif _is_gone(kept["owner"]):
                self.give_back(trial.number)
                count += 1
        return count

    def step(
        self, cache: Path, limits: Limits = UNLIMITED, progress: Progress | None = None
    ) -> TrialOutcome | None:
        """Asks for one trial, does it here and tells it; None where there is none left."""
        spec = self.ask(cache, limits)
        if spec is None:
            return None
        try:
            outcome = evaluate(spec, progress)
        except BaseException:
            self.give_back(spec.number)
            raise
        return self.tell(spec, outcome).outcome

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
            margin=_margin(told),
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
            return outcome.us, outcome.near - (_margin(told) or 0.0)
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


def rivals(told: Sequence[Told], limits: Limits) -> tuple[Rival, ...]:
    """The frontier of what is simulated and keeps the limits, fastest first."""
    points = [
        (one.outcome.number, (one.outcome.us, one.outcome.loss))
        for one in told
        if one.outcome.us is not None and one.outcome.loss is not None and keeps(one, limits)
    ]
    return tuple(Rival(number, us, loss) for number, (us, loss) in frontier(points))


def keeps(one: Told, limits: Limits) -> bool:
    """Whether a point keeps all limits."""
    outcome = one.outcome
    if outcome.state != COMPLETE or outcome.us is None or outcome.loss is None:
        return False
    return all(value <= 0 for value in _beyond(outcome, limits, outcome.loss))


def _beyond(outcome: TrialOutcome, limits: Limits, loss: float) -> list[float]:
    """How far a point is beyond each limit; 0 and less keeps it."""
    us, size = outcome.us or 0.0, outcome.bytes or 0
    return [
        0.0 if limits.max_us is None else us / limits.max_us - 1,
        0.0 if limits.max_bytes is None else size / limits.max_bytes - 1,
        0.0 if limits.max_drop is None else loss - limits.max_drop - 1e-9,
    ]


def _margin(told: Sequence[Told]) -> float | None:
    """By how much the CPU was off the simulation at most; None while few points say so."""
    outcomes = [one.outcome for one in told]
    apart = [
        abs(one.near - one.loss)
        for one in outcomes
        if one.near is not None and one.loss is not None
    ]
    return _WIDER * max(apart) if len(apart) >= _KNOWN else None


def _owner() -> dict[str, Any]:
    process = psutil.Process()
    return {
        "host": socket.gethostname(),
        "pid": process.pid,
        "started": process.create_time(),
    }


def _is_gone(owner: Mapping[str, Any]) -> bool:
    """Whether a process of this machine has ended; of another machine nobody knows."""
    if owner["host"] != socket.gethostname():
        return False
    if owner["pid"] == os.getpid() and abs(psutil.Process().create_time() - owner["started"]) < 1:
        return False
    try:
        return bool(abs(psutil.Process(owner["pid"]).create_time() - owner["started"]) >= 1)
    except psutil.Error:
        return True


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
