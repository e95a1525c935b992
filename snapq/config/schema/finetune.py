"""Options of the finetune stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    model_validator,
)

from snapq.config.schema.base import Strict


class Losses(Strict):
    """How much each loss of training counts; 0 leaves it out."""

    output: Annotated[float, Field(ge=0)] = 1.0
    """Outputs against the float original's."""
    feature: Annotated[float, Field(ge=0)] = 0.1
    """Values inside the graph against the float original's."""
    label: Annotated[float, Field(ge=0)] = 0.5
    """Classes against labels, where data.training has them."""

    @model_validator(mode="after")
    def _one_above_zero(self) -> Losses:
        if not (self.output or self.feature or self.label):
            raise ValueError("All losses are 0, so there is nothing to train for.")
        return self


class FinetuneConfig(Strict):
    """Win accuracy back by training (extra `train`): the float model teaches, labels are optional.

    Before quantize it trains the float model; after it, weights and scales of the quantized one.
    """

    epochs: Annotated[int, Field(gt=0)] | None = None
    """How often each sample is seen; 10 where neither this nor `steps` is given."""
    steps: Annotated[int, Field(gt=0)] | None = None
    """Number of updates, in place of epochs."""
    lr: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """Learning rate at its highest, relative: the share by which an update changes a weight of
    usual size. It falls along a cosine."""
    batch: Annotated[int, Field(gt=0)] = 16
    """Samples an update."""
    losses: Losses = Losses()
    """How much each loss counts."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training samples that judge: the state that is best on them is kept."""
    patience: Annotated[int, Field(gt=0)] = 5
    """Training stops when so many evaluations in a row find nothing better."""
    augment: tuple[Literal["flip", "crop", "mix"], ...] = ()
    """Changes of pictures that give a small set more to learn from."""

    @model_validator(mode="after")
    def _one_length(self) -> FinetuneConfig:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("Give `epochs` or `steps`, not both.")
        return self
