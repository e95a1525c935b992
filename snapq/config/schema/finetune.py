"""Options of the finetune stage."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from snapq.config.schema.base import StageConfig, Strict


class Losses(Strict):
    """How much each loss of training counts; 0 leaves it out."""

    output: Annotated[float, Field(ge=0)] = 1.0
    """Outputs against the float model's."""
    feature: Annotated[float, Field(ge=0)] = 0.1
    """Intermediate tensors against the float model's."""
    label: Annotated[float, Field(ge=0)] = 0.5
    """Classes against labels, where data.training has them."""

    @model_validator(mode="after")
    def _one_above_zero(self) -> Losses:
        if not (self.output or self.feature or self.label):
            raise ValueError("All losses are 0, so there is nothing to train for.")
        return self


class FinetuneConfig(StageConfig):
    """Recover accuracy by distillation from the float model (extra `train`); labels are optional.

    Before quantize it trains the float model; after it, the weights and scales of the quantized
    one.
    """

    repeats: ClassVar[bool] = True

    epochs: Annotated[int, Field(gt=0)] | None = None
    """How often each sample is seen; 10 where neither this nor `steps` is given."""
    steps: Annotated[int, Field(gt=0)] | None = None
    """Number of optimizer steps, in place of epochs."""
    lr: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """Highest learning rate, relative to the size of the weights: the share by which a step changes
    a weight of usual size. It follows a cosine schedule."""
    batch: Annotated[int, Field(gt=0)] = 16
    """Samples a step."""
    losses: Losses = Losses()
    """How much each loss counts."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training samples for validation: the state that is best on them is kept."""
    patience: Annotated[int, Field(gt=0)] = 5
    """Training stops after so many validations in a row without improvement."""
    augment: tuple[Literal["flip", "crop", "mix"], ...] = ()
    """Augmentation of images."""

    @model_validator(mode="after")
    def _one_length(self) -> FinetuneConfig:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("Give `epochs` or `steps`, not both.")
        return self
