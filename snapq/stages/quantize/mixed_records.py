"""Candidates of mixed precision in words and records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapq.config import MixedPrecision
from snapq.npu.arithmetic import distinct
from snapq.precision import precision_name
from snapq.records import Origin, TradeoffRecord
from snapq.stages.base import Context
from snapq.stages.quantize.held_out import EVERY, HeldOut, unit
from snapq.stages.quantize.scoring import Estimator

if TYPE_CHECKING:
    from snapq.quantization.mixed_precision.trials import Trial
    from snapq.quantization.qdq.scheme import Scheme

__all__ = ["Writer", "notes"]

_NAMED = 8
_ON_CPU = "on this machine's CPU, which computes fp16 in 32 bits"


@dataclass(frozen=True)
class Writer:
    """Puts candidates of one search into words and records.

    Attributes:
        label: the precision of the model without promotions.
        options: of mixed precision.
        held: the samples that evaluate.
        where: where candidates are proved.
        context: of the run.
        estimator: who estimates; None where nobody does.
        scheme: without promotions.
    """

    label: str
    options: MixedPrecision
    held: HeldOut
    where: Origin
    context: Context
    estimator: Estimator | None
    scheme: Scheme

    def record(self, trial: Trial, chosen: Trial) -> TradeoffRecord:
        """A candidate as it goes into the record."""
        simulated = trial.proved and self.where is Origin.SIMULATED
        return TradeoffRecord(
            label=self.name(trial),
            to=trial.to.value if trial.to is not None else None,
            nodes=() if trial.whole else trial.nodes,
            narrow=trial.narrow,
            value=trial.evaluation.value,
            unit=unit(self.options, self.context),
            met=trial.evaluation.met,
            chosen=trial is chosen,
            where=self.where if trial.proved else Origin.HOST,
            device=self._proved_on if simulated else None,
            samples=len(self.held.feeds),
            us=trial.cost.us if trial.cost is not None and trial.refused is None else None,
            refused=trial.refused,
            estimated_on=self.estimator.estimated_on if self.estimator is not None else None,
            missing_ops=trial.cost.missing if trial.cost is not None else 0,
        )

    @property
    def _proved_on(self) -> str:
        """The devices whose worst value it is."""
        return ", ".join(first.name for first, *_ in distinct(self.context.devices, "mix"))

    def line(self, trial: Trial) -> str:
        """A candidate as it is told of while the search goes on."""
        found = self.record(trial, trial)
        timed = f", {found.us:,.1f} µs estimated" if found.us is not None else ""
        kept = "keeps" if found.met else "does not keep"
        if found.refused is not None:
            return f"  {found.label}: the NPU does not take it"
        place = "simulated" if found.where is Origin.SIMULATED else "on the CPU"
        return f"  {found.label}: {_value(found)} {place}{timed}; {kept} the budget"

    def name(self, trial: Trial) -> str:
        """`w8a8`, `w8a16`, `w8a8, 7 nodes at w8a16`, `w8a8, 1 layer with weights of 4 bits`."""
        count = len(trial.narrow)
        layers = "1 layer" if count == 1 else f"{count} layers"
        narrow = f", {layers} with weights of 4 bits" if count else ""
        return f"{self._mix(trial)}{narrow}"

    def _mix(self, trial: Trial) -> str:
        if trial.to is None:
            return self.label
        if trial.whole:
            return precision_name(trial.scheme.weights, trial.scheme.activations)
        counts = Counter(self._raised(trial)).most_common()
        first, *others = [f"{count} at {name}" for name, count in counts]
        nodes = "node" if counts[0][1] == 1 else "nodes"
        return ", ".join((self.label, first.replace(" at", f" {nodes} at"), *others))

    def precision(self, trial: Trial) -> str:
        """`w8a8`, or `w8a8+w8a16` of a mix."""
        mixed = trial.to is not None and not trial.whole
        first = self.label if mixed else self._mix(trial)
        raised = set(self._raised(trial)) if mixed else set()
        raised |= {precision_name(*trial.scheme.precision(name)) for name in trial.narrow}
        return "+".join((first, *sorted(raised)))

    def _raised(self, trial: Trial) -> list[str]:
        return [precision_name(*trial.scheme.precision(name)) for name in trial.nodes]


def notes(
    found: TradeoffRecord,
    curve: Sequence[TradeoffRecord],
    options: MixedPrecision,
    held: HeldOut,
    scores: Sequence[float],
    chosen: Sequence[str],
) -> Iterator[str]:
    """Sentences for the reader.

    Args:
        found: what was chosen.
        curve: all that was tried.
        options: the budget.
        held: what judged.
        scores: the float model's; none where SQNR is the budget.
        chosen: outputs whose rows, or the order of these, are computed.
    """
    names = ", ".join(found.nodes[:_NAMED])
    more = f" and {len(found.nodes) - _NAMED} more" if len(found.nodes) > _NAMED else ""
    shown = f" ({names}{more})" if names else ""
    on = f" on {found.device}" if found.device else ""
    timed = f"; time estimated on {found.estimated_on}" if found.estimated_on else ""
    yield (
        f"Mixed precision: {found.label}{shown}. On {len(held.feeds)} "
        f"{'held-out ' if held.apart else ''}calibration samples: {_figures(found)} "
        f"({found.where}{on}{timed})."
    )
    if found.narrow:
        few = ", ".join(found.narrow[:_NAMED])
        more = f" and {len(found.narrow) - _NAMED} more" if len(found.narrow) > _NAMED else ""
        yield f"Weights of 4 bits, which the NPU is faster with by the estimate: {few}{more}."
    same = [one for one in curve if not (one.nodes or one.narrow) and one is not found]
    wholes = [one for one in same if one.refused is None]
    for one in same:
        if one.refused is not None:
            yield f"{one.label} is no candidate, as the NPU does not take it: {one.refused}"
    places = {found.where: f"{found.where}{on}", Origin.HOST: _ON_CPU}
    for place, told in places.items():
        compared = [f"{one.label}: {_figures(one)}" for one in wholes if one.where is place]
        if compared:
            yield f"All of the model at one precision, {told}: {'; '.join(compared)}."
    if scores:
        yield f"The float model on the same samples: {', '.join(f'{one:.4f}' for one in scores)}."
    if not found.met:
        wanted = (
            f"{options.min_sqnr_db:g} dB"
            if options.max_drop is None
            else f"a drop in {found.unit} of {options.max_drop:g}"
        )
        yield f"No mix meets the budget of {wanted}; this is the closest."
    if chosen and options.max_drop is None:
        yield (
            f"{', '.join(chosen)}: which rows there are, and in which order, is computed (TopK and "
            "the like), so that SQNR asks for more bits than detections need. Give `goal: "
            "{max_drop: 0.01}` with a metric such as map, or cut the model in front of that."
        )
    if held.own:
        yield "The calibration samples have no labels: the float model's predictions stand in."
    if not held.apart:
        yield f"Under {EVERY} calibration samples, so calibration and check share them."


def _figures(record: TradeoffRecord) -> str:
    value = _value(record)
    if record.us is None:
        return value
    low = f" (too low: {record.missing_ops} operators have no cost)" if record.missing_ops else ""
    return f"{value} and {record.us:,.1f} µs{low}"


def _value(record: TradeoffRecord) -> str:
    """Accuracy or SQNR with its unit."""
    if record.unit == "dB":
        return f"{record.value:.1f} dB"
    return f"{record.unit} {record.value:.4f}"
