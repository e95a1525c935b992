"""Options of the prune stage."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from snapq.config.schema.base import Names, StageConfig, Strict
from snapq.ranking import Importance

_GOALS = ("macs", "bytes", "estimate_us")


class PruneTarget(Strict):
    """Largest cost of the pruned model: exactly one of `macs`, `bytes`, `estimate_us`."""

    macs: Annotated[int, Field(gt=0)] | None = None
    """Multiply-accumulates of one inference."""
    bytes: Annotated[int, Field(gt=0)] | None = None
    """Bytes of weights and other constants, at the precision that the stage is given."""
    estimate_us: Annotated[float, Field(gt=0)] | None = None
    """Estimated accelerator time in microseconds, at the precision of the run's quantize stage and
    with the package's boundary."""
    device: str | None = None
    """Whose estimate; the first device where not given."""
    compiles: Annotated[int, Field(gt=2)] = 64
    """How many candidate cuts may be estimated; more find a better one."""

    @model_validator(mode="after")
    def _one(self) -> PruneTarget:
        if sum(getattr(self, key) is not None for key in _GOALS) != 1:
            raise ValueError(f"Give exactly one of {', '.join(f'`{key}`' for key in _GOALS)}.")
        if self.device is not None and self.estimate_us is None:
            raise ValueError("`device` belongs to `estimate_us`.")
        return self


class Sparsity(Strict):
    """Zero weights, for the size of downloads only: they make nothing faster on the NPU."""

    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The share of each layer's weights that becomes zero, the smallest ones."""
    pattern: Annotated[str, Field(pattern=r"^[1-9]\d?:[1-9]\d?$")] | None = None
    """`2:4` keeps 2 of each 4 consecutive input channels, and so on."""

    @model_validator(mode="after")
    def _complete(self) -> Sparsity:
        if (self.share is None) == (self.pattern is None):
            raise ValueError("Give exactly one of `share`, `pattern`.")
        if self.kept is not None and self.kept[0] >= self.kept[1]:
            raise ValueError(f"The pattern {self.pattern} keeps everything; try `2:4`.")
        return self

    @property
    def kept(self) -> tuple[int, int] | None:
        """The pattern as numbers: how many stay, of how many."""
        if self.pattern is None:
            return None
        kept, _, of = self.pattern.partition(":")
        return int(kept), int(of)


class PruneTrees(Strict):
    """Of trees (ONNX-ML): subtrees become leaves as far as held-out rows allow."""

    most_loss: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """How much may be lost on every other row of `data.calibration`, which needs labels: of the
    share of right labels, or of R2. The rows between say how often leaves are reached."""


class PruneConfig(StageConfig):
    """Remove residual blocks, cut channels and refit the layers that read them, zero weights.

    `blocks` or `remove`, `ratio` or `target`, `sparsity`: any of them; they are done in this order.
    Of tree ensembles `trees` alone.
    """

    repeats: ClassVar[bool] = True

    blocks: Annotated[int, Field(gt=0)] | None = None
    """How many residual blocks to remove: those whose removal changes the outputs least, for what
    they cost."""
    remove: Names = ()
    """Residual blocks to remove by name, instead of `blocks`: the name of the Add at which branch
    and shortcut meet, in the prepared model."""
    ratio: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the multiply-accumulates (MACs) to remove."""
    target: PruneTarget | None = None
    """Largest cost of the pruned model, instead of a ratio."""
    importance: Importance = Importance.ACTIVATION
    """`magnitude`: size of the weights alone; `activation`: what a channel adds to the layers that
    read it; `second-order`: the same, after the other channels are refitted; `taylor` (extra
    `train`): the change of the model's outputs, by gradients."""
    repair: bool = True
    """Refit the layers that read cut channels to their original outputs, by least squares."""
    step: Annotated[int, Field(gt=0)] = 32
    """Channel counts become multiples of this; the NPU computes in multiples of 32."""
    most: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """The largest share of a layer's channels that may be cut."""
    keep: Names = ()
    """Names of nodes of the prepared model whose channels are not cut."""
    sparsity: Sparsity | None = None
    """Zero weights for a smaller download, after the cut or alone; a later finetune stage undoes
    them."""
    trees: PruneTrees | None = None
    """Prune tree ensembles: `{}` loses one percent at most."""

    @property
    def cuts(self) -> bool:
        """Whether channels are cut."""
        return self.ratio is not None or self.target is not None

    @property
    def shortens(self) -> bool:
        """Whether residual blocks are removed."""
        return self.blocks is not None or bool(self.remove)

    @property
    def needs_samples(self) -> bool:
        """Whether the stage looks at activations or outputs."""
        if self.blocks is not None or self.trees is not None:
            return True
        return self.cuts and (self.repair or self.importance is not Importance.MAGNITUDE)

    @model_validator(mode="after")
    def _one_goal(self) -> PruneConfig:
        if self.ratio is not None and self.target is not None:
            raise ValueError("Give `ratio` or `target`, not both.")
        if self.blocks is not None and self.remove:
            raise ValueError("Give `blocks`, a number, or `remove`, their names; not both.")
        network = self.cuts or self.shortens or self.sparsity is not None
        if self.trees is not None and network:
            raise ValueError("`trees` is for tree ensembles, and the others are for networks.")
        if self.trees is None and not network:
            raise ValueError(
                "Give `ratio` or `target`, such as `prune: {ratio: 0.3}`; or `blocks`, `remove`, "
                "`sparsity`; of tree ensembles `trees`."
            )
        return self
