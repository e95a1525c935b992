"""How a training run goes: plain values, without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LossWeights", "TrainingOptions"]


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts.

    Attributes:
        output: outputs against the float original's.
        feature: values inside the graph against the float original's.
        label: outputs against labels, where samples have them.
    """

    output: float = 1.0
    feature: float = 0.1
    label: float = 0.5


@dataclass(frozen=True)
class TrainingOptions:
    """One training run.

    Attributes:
        epochs: how often each sample is seen; None where `steps` counts.
        steps: number of updates; None where `epochs` counts.
        rate: learning rate at its highest: the share by which an update changes a weight, relative
            to the root mean square of its channel, and a scale.
        batch: samples an update.
        losses: weights of the losses.
        held_out: share of the samples that judge and are not trained on.
        patience: how many evaluations in a row may bring no better held-out loss.
        augment: changes of image inputs, `flip`, `crop`, `mix`.
        seed: seed of order and augmentation.
    """

    epochs: int | None = 10
    steps: int | None = None
    rate: float = 1e-3
    batch: int = 16
    losses: LossWeights = LossWeights()
    held_out: float = 0.1
    patience: int = 5
    augment: tuple[str, ...] = ()
    seed: int = 0
