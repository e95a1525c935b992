"""Training of an ONNX graph against the float original: the front door of this package."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.progress import Progress, Silent
from snapq.storage import atomic_path
from snapq.training import losses
from snapq.training.augment import augment
from snapq.training.batches import Batches, Item, Samples
from snapq.training.library import Tensor, torch
from snapq.training.module import GraphModule
from snapq.training.optimizer import RelativeAdam, cosine
from snapq.training.options import TrainingOptions
from snapq.training.shared import common_values, frontier

__all__ = ["Point", "Trained", "train"]

Array = np.ndarray
Feeds = Mapping[str, Array]
_WORSE = 1.25
"""Where the held-out loss is so many times the best, the run goes back and slows down."""
_EVALUATIONS = 20
"""How often, at least, a run is judged on the held-out samples."""


@dataclass(frozen=True)
class Point:
    """One evaluation of a run.

    Attributes:
        step: updates before it.
        trained: mean loss on the batches since the last evaluation; None before the first update.
        held_out: loss on the samples that are not trained on.
        agreement: share of held-out samples with the teacher's class; None without classes.
    """

    step: int
    trained: float | None
    held_out: float
    agreement: float | None


@dataclass(frozen=True)
class Trained:
    """What training gives.

    Attributes:
        model: the graph with trained weights and encodings; the best state on held-out samples.
        curve: every evaluation, the state before training first.
        best: the evaluation whose state was kept.
        steps: updates that were made.
        notes: sentences for the reader.
    """

    model: ir.Model
    curve: tuple[Point, ...]
    best: Point
    steps: int
    notes: tuple[str, ...]


def train(
    model: ir.Model,
    original: ir.Model,
    data: Samples,
    options: TrainingOptions,
    *,
    feeds: Callable[[Feeds], Feeds] = dict,
    latent: Mapping[str, Array] | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Trains a graph to give what the float original gives.

    Args:
        model: what is trained: a float graph, or one with Q/DQ nodes, whose scales learn too.
        original: the teacher: a float graph with the same outputs.
        data: samples that the original takes; read as often as needed, labels are optional.
        options: how the run goes.
        feeds: from the original's feeds to the model's.
        latent: float values of the constants that a Q/DQ graph stores, see `GraphModule`.
        checkpoint: where the state is kept; a run that finds one resumes from it.
        progress: progress reporter.

    Raises:
        ModelError: training cannot run an operator of either graph, or there is nothing to train.
        DataError: there are not two samples.
        InstallError: PyTorch is not installed.
    """
    run = _Run(model, original, data, options, feeds, latent or {})
    return run.run(checkpoint, progress or Silent())


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        model: ir.Model,
        original: ir.Model,
        data: Samples,
        options: TrainingOptions,
        feeds: Callable[[Feeds], Feeds],
        latent: Mapping[str, Array],
    ) -> None:
        torch.manual_seed(options.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.student = GraphModule(model, latent).to(self.device)
        self.teacher = GraphModule(original).to(self.device).requires_grad_(False)
        self.options = options
        self.feeds = feeds
        self.batches = Batches(data, options.batch, options.held_out, options.seed)
        self.kinds = losses.output_kinds(original)
        common = common_values(model, original)
        self.given = frontier(model, common)
        used = options.losses.feature > 0
        self.features = losses.features(original, model, equal=common) if used else ()
        if self.given:
            self.student.start_from(self.given, [pair.student for pair in self.features])
        self.steps = options.steps or (options.epochs or 1) * self.batches.per_epoch
        self.every = max(min(self.batches.per_epoch, self.steps // _EVALUATIONS), 1)
        weights = [
            weight
            for weight in (*self.student.weights, *self.student.encodings.stored)
            if weight.requires_grad
        ]
        scales = self.student.encodings.scale_parameters()
        if not weights or not self.kinds:
            raise ModelError("The model has no weights or no float outputs that could be trained.")
        self.optimizer = RelativeAdam(weights, scales)
        self.curve: list[Point] = []
        self.best_state: dict[str, Any] = {}
        self.share = 1.0
        self.notes: list[str] = []

    def run(self, checkpoint: Path | None, progress: Progress) -> Trained:
        step = self._resume(checkpoint, progress)
        if step == 0:
            self._judge(0, None, progress, 0.0)
        started, first = time.monotonic(), step
        total, count = 0.0, 0
        with progress.track("Fine-tune", self.steps) as advance:
            advance(step)
            for batch in self._from(step):
                total, count = total + self._update(batch, step), count + 1
                step += 1
                advance(1)
                if step % self.every and step != self.steps:
                    continue
                seconds = (time.monotonic() - started) / (step - first) * (self.steps - step)
                self._judge(step, total / count, progress, seconds)
                total, count = 0.0, 0
                self._step_back(progress)
                self._save(checkpoint, step)
                if self._finished(step):
                    break
        best = self._best()
        self.student.load_state_dict(self.best_state)
        if self.share < 1:
            self.notes.append(
                f"The rate was too high and went down to {self.options.rate * self.share:.2g}; "
                "a lower lr saves the detour."
            )
        if best.step == 0:
            self.notes.append("Training found nothing better than where it started.")
        return Trained(self.student.write_back(), tuple(self.curve), best, step, tuple(self.notes))

    def _from(self, step: int) -> Any:
        """Batches from a step on."""
        while step < self.steps:
            epoch, skipped = divmod(step, self.batches.per_epoch)
            for index, batch in enumerate(self.batches.epoch(epoch)):
                if index < skipped:
                    continue
                if step == self.steps:
                    return
                yield batch
                step += 1

    def _update(self, batch: Sequence[Item], step: int) -> float:
        rng = np.random.default_rng([self.options.seed, 1, step])
        loss, _ = self._loss(batch, rng)
        value = float(loss.detach())
        if not math.isfinite(value):
            return value
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step(self.share * self.options.rate * cosine(step, self.steps))
        return value

    def _loss(
        self, batch: Sequence[Item], rng: np.random.Generator | None
    ) -> tuple[Tensor, float | None]:
        """The loss of a batch, and the share of samples with the teacher's class."""
        stacked = {
            name: torch.from_numpy(np.stack([item.feeds[name] for item in batch]))
            for name in batch[0].feeds
        }
        labels = [item.label for item in batch]
        if rng is not None and self.options.augment:
            changes = [
                c for c in self.options.augment if c != "mix" or all(x is None for x in labels)
            ]
            for name, value in stacked.items():
                if value.ndim == 5 and value.shape[1] == 1 and value.is_floating_point():
                    stacked[name] = augment(value[:, 0], changes, rng)[:, None]
        own = [self.feeds({k: v[i].numpy() for k, v in stacked.items()}) for i in range(len(batch))]
        fed = {name: np.stack([feed[name] for feed in own]) for name in own[0]}
        with torch.no_grad():
            wanted = self.teacher.batched(
                {k: v.to(self.device) for k, v in stacked.items()},
                [*(pair.teacher for pair in self.features), *self.given],
            )
        own_feeds = {k: torch.from_numpy(v).to(self.device) for k, v in fed.items()}
        found = self.student.batched(
            own_feeds | {name: wanted[name] for name in self.given},
            [pair.student for pair in self.features],
        )
        weights = self.options.losses
        loss = weights.output * losses.output_loss(self.kinds, found, wanted)
        if self.features:
            loss = loss + weights.feature * losses.feature_loss(self.features, found, wanted)
        if weights.label and all(label is not None for label in labels):
            labelled = losses.label_loss(self.kinds, found, labels)
            if labelled is not None:
                loss = loss + weights.label * labelled
        return loss, losses.agreement(self.kinds, found, wanted)

    def _judge(self, step: int, trained: float | None, progress: Progress, left: float) -> None:
        total, agreed, samples = 0.0, 0.0, 0
        known = True
        with torch.no_grad():
            for batch in self.batches.held_out():
                loss, agreement = self._loss(batch, None)
                total += float(loss) * len(batch)
                known &= agreement is not None
                agreed += (agreement or 0.0) * len(batch)
                samples += len(batch)
        point = Point(step, trained, total / samples, agreed / samples if known else None)
        self.curve.append(point)
        if self._best() is point:
            self.best_state = copy.deepcopy(self.student.state_dict())
        progress.say(_line(point, self.steps, left))

    def _step_back(self, progress: Progress) -> None:
        """Takes the best state again where the last one is much worse, and smaller steps."""
        last, best = self.curve[-1].held_out, self._best().held_out
        if last <= _WORSE * best:  # not so where it is not a number
            return
        self.share /= 4
        self.student.load_state_dict(self.best_state)
        self.optimizer.forget()
        progress.say(f"Too fast: back to the best state, at {self.share:.3g} of the rate.")

    def _best(self) -> Point:
        return min(self.curve, key=lambda p: p.held_out if math.isfinite(p.held_out) else math.inf)

    def _finished(self, step: int) -> bool:
        since = len(self.curve) - 1 - self.curve.index(self._best())
        if since >= self.options.patience and step < self.steps:
            self.notes.append(
                f"Stopped at step {step} of {self.steps}: the held-out loss was best at step "
                f"{self._best().step}."
            )
            return True
        return False

    def _save(self, checkpoint: Path | None, step: int) -> None:
        if checkpoint is None:
            return
        state = {
            "step": step,
            "share": self.share,
            "student": self.student.state_dict(),
            "best": self.best_state,
            "optimizer": self.optimizer.state(),
            "curve": [asdict(point) for point in self.curve],
        }
        with atomic_path(checkpoint) as temporary:
            torch.save(state, temporary)

    def _resume(self, checkpoint: Path | None, progress: Progress) -> int:
        """Takes up a checkpoint; returns the number of updates that it has."""
        if checkpoint is None or not checkpoint.is_file():
            return 0
        try:
            state = torch.load(checkpoint, map_location=self.device, weights_only=True)
            self.student.load_state_dict(state["student"])
            self.optimizer.restore(state["optimizer"])
            self.curve = [Point(**point) for point in state["curve"]]
            self.best_state = state["best"]
            self.share = float(state["share"])
            step = int(state["step"])
        except Exception:  # a damaged checkpoint: torch raises many kinds
            progress.say("The checkpoint of an earlier run is damaged; training starts anew.")
            checkpoint.unlink(missing_ok=True)
            return 0
        progress.say(f"Training resumes at step {step} of an earlier run.")
        return step


def _line(point: Point, steps: int, left: float) -> str:
    """One line of the story."""
    parts = [f"Step {point.step} of {steps}"]
    if point.trained is not None:
        parts.append(f"loss {point.trained:.4g}")
    parts.append(f"held-out {point.held_out:.4g}")
    if point.agreement is not None:
        parts.append(f"agreement {point.agreement:.1%}")
    if left:
        parts.append(f"{left:.0f} s left" if left < 100 else f"{left / 60:.0f} min left")
    return ", ".join(parts)
