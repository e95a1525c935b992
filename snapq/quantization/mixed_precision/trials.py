"""Candidates of a search for mixed precision: each quantized, evaluated and estimated once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import onnx_ir as ir

from snapq.errors import QnnError
from snapq.precision import Promotion
from snapq.quantization.analysis.alone import lowered
from snapq.quantization.analysis.sensitivity import Analysis
from snapq.quantization.mixed_precision.cost import Cost, Estimate, by_float_node
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["Evaluate", "Evaluation", "Trial", "Trials", "key", "price"]


@dataclass(frozen=True)
class Evaluation:
    """How good a model is (higher is better: dB, a metric), and whether that keeps the budget."""

    value: float
    met: bool


Evaluate = Callable[[ir.Model], Evaluation]


@dataclass(frozen=True)
class Trial:
    """A candidate.

    Attributes:
        to: the promotion; None where nothing has it.
        nodes: which nodes have it, in graph order.
        whole: whether all of the model has it.
        evaluation: how good it is.
        proved: whether that is the final evaluation.
        cost: its estimate; None where there is none.
        scheme: how it was quantized.
        narrow: nodes whose weights have 4 bits, as they are faster so.
        refused: why the NPU does not take it; such a candidate is never chosen.
    """

    to: Promotion | None
    nodes: tuple[str, ...]
    whole: bool
    evaluation: Evaluation
    proved: bool
    cost: Cost | None
    scheme: Scheme
    narrow: tuple[str, ...] = ()
    refused: str | None = None


class Trials:
    """Makes trials, evaluates and estimates them; each of them once."""

    def __init__(
        self,
        analysis: Analysis,
        evaluators: tuple[Evaluate, Evaluate],
        estimate: Estimate | None,
        report: Callable[[Trial], None] | None,
    ) -> None:
        self._analysis, self._estimate, self._report = analysis, estimate, report
        self._quick, self._final = evaluators
        self.graph = lowered(analysis.model).graph
        self._trials: dict[object, Trial] = {}

    @property
    def all(self) -> tuple[Trial, ...]:
        """Every trial, in the order in which they were made."""
        return tuple(self._trials.values())

    def best(self) -> Trial:
        """The fastest that was proved to keep the budget, else the best that was proved."""
        proved = [trial for trial in self.all if trial.proved and trial.refused is None]
        kept = [trial for trial in proved if trial.evaluation.met]
        return min(kept, key=price) if kept else max(proved, key=lambda one: one.evaluation.value)

    def guess(self, to: Promotion | None, scheme: Scheme, *, whole: bool = False) -> Trial:
        """A candidate with its quick evaluation."""
        found = key(scheme)
        if found not in self._trials:
            before, own = self._analysis.scheme.per_node, scheme.per_node
            names = (str(node.name) for node in self.graph)
            named = tuple(name for name in names if to and own.get(name) != before.get(name))
            quick = self._quick(self._model(scheme))
            self._keep(Trial(to, named, whole, quick, False, None, scheme))
        return self._trials[found]

    def narrowed(self, trial: Trial, scheme: Scheme, names: tuple[str, ...]) -> Trial:
        """A candidate with weights of 4 bits in these nodes beside, with its quick evaluation."""
        found = key(scheme)
        if found not in self._trials:
            quick = self._quick(self._model(scheme))
            self._keep(
                replace(
                    trial, evaluation=quick, proved=False, cost=None, scheme=scheme, narrow=names
                )
            )
        return self._trials[found]

    def timed(self, trial: Trial) -> Trial:
        """The same with its estimate; of what the NPU does not take, that it is no candidate.

        Raises:
            QnnError: the NPU does not take the model without promotions.
        """
        trial = self._trials[key(trial.scheme)]
        if self._estimate is None or trial.cost is not None:
            return trial
        try:
            cost = self._estimate(self._model(trial.scheme))
        except QnnError as error:
            return self._refused(trial, error)
        return self._keep(replace(trial, cost=cost), report=False)

    def prove(self, trial: Trial) -> Trial:
        """The same with its final evaluation. Raises as `timed`."""
        trial = self._trials[key(trial.scheme)]
        if trial.proved or trial.refused is not None:
            return trial
        try:
            evaluation = self._final(self._model(trial.scheme))
        except QnnError as error:
            return self._refused(trial, error)
        return self._keep(replace(trial, evaluation=evaluation, proved=True))

    def _refused(self, trial: Trial, error: QnnError) -> Trial:
        """A candidate that the NPU does not take: for ever slow, and not good enough."""
        if error.transient or (trial.to is None and not trial.narrow):
            raise error
        unmet = replace(trial.evaluation, met=False)
        never = Cost(math.inf, math.inf)
        return self._keep(replace(trial, evaluation=unmet, cost=never, refused=error.what))

    def spent(self, trial: Trial) -> dict[str, float]:
        """Cycles by float node of a candidate with an estimate."""
        cost = trial.cost
        if cost is None or trial.refused is not None:
            return {}
        return by_float_node(self._model(trial.scheme), cost)

    def _model(self, scheme: Scheme) -> ir.Model:
        return self._analysis.quantized(scheme).model

    def _keep(self, trial: Trial, *, report: bool = True) -> Trial:
        self._trials[key(trial.scheme)] = trial
        if report and self._report is not None:
            self._report(trial)
        return trial


def key(scheme: Scheme) -> object:
    """Equal for schemes that give the same model."""
    named = ((name, own.weights, own.activations) for name, own in scheme.per_node.items())
    return scheme.weights, scheme.activations, frozenset(named)


def price(trial: Trial) -> tuple[float, bool, int]:
    """Orders candidates: the fastest first, of equals the one with the fewest promotions."""
    return (trial.cost.cycles if trial.cost else 0.0, trial.whole, len(trial.nodes))
