"""`stages`: the list of stages, each with its options."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import ConfigDict, Field, ValidationError, model_validator

from snapq.config.schema.base import FilePath, StageConfig, Strict
from snapq.config.schema.finetune import FinetuneConfig
from snapq.config.schema.lower import LowerConfig
from snapq.config.schema.prune import PruneConfig
from snapq.config.schema.quantize import ClusterConfig, QuantizeConfig, RepairConfig


class JudgeConfig(Strict):
    """How much is compiled to find out which changes of the graph make it faster."""

    tries: Annotated[int, Field(ge=0)] = 4
    """How many forms of the network are estimated for each device, of those of which nobody knows
    beforehand which is the fastest; 0 tries none."""


class PrepareConfig(StageConfig):
    """Freeze shapes, upgrade the opset, fold constants, fuse, lower to what the NPU has."""

    skip: tuple[str, ...] = ()
    """Names of passes to leave out (`snapq inspect --passes` lists them)."""
    judge: JudgeConfig = JudgeConfig()
    """Passes that make some networks faster and others slower are kept where the estimate of what
    the run would package says so."""


class PackageConfig(StageConfig):
    """Compile for every device and write the bundle."""

    optimization_modes: tuple[Literal[1, 2, 3], ...] = (2, 3)
    """Values of htp_graph_finalization_optimization_mode to try; the fastest by estimate stays."""
    vtcm_mb: Literal["auto"] | tuple[Annotated[int, Field(gt=0)], ...] = "auto"
    """Sizes of on-chip memory (VTCM) to plan with, tried beside the device's own; the fastest by
    estimate stays. `auto` tries a quarter and three eighths of the device's own for models with
    weights of 1 MB and more; `[]` tries none."""
    thin_strides: bool = True
    """Try strided depthwise convolutions as ones of stride 1 whose outputs are subsampled, kept
    where the estimate is lower: the same function, up to rounding in the last step."""
    judge: JudgeConfig = JudgeConfig()
    """Equal forms of the model (a product for each head of attention) are compiled for a device
    where its estimate says that they are faster."""
    batch: Literal["auto"] | Annotated[int, Field(ge=1, le=256)] = 1
    """How many samples a call of the package takes, along the first axis of every input. Each is
    computed as if it stood alone, in the same encodings, in less time than one after the other
    where frames may be gathered. `auto` takes for each kind of device what is fastest a sample by
    its estimate, of 1, 2, 4, 8 and 16."""
    dlc: bool = False
    """Also write a DLC for QAIRT's own tools."""
    multi_soc: bool = False
    """Also write one container for all devices together."""
    embed: bool = False
    """Put the context binary inside the ONNX file; refused where that is unsafe."""
    golden_samples: Annotated[int, Field(gt=0)] = 4
    """How many samples and simulated outputs the bundle carries for the check on the board."""
    labels: FilePath | None = None
    """Text file of what the classes are called, one a line, for the README, the C header and the
    programs in the bundle; what the model itself has under `names` where not given."""


StageOptions = (
    PrepareConfig
    | LowerConfig
    | RepairConfig
    | PruneConfig
    | ClusterConfig
    | QuantizeConfig
    | FinetuneConfig
    | PackageConfig
)


class StageItem(Strict):
    """One entry of `stages`: exactly one stage with its options, such as `quantize: {}`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    prepare: PrepareConfig | None = None
    lower: LowerConfig | None = None
    repair: RepairConfig | None = None
    prune: PruneConfig | None = None
    cluster: ClusterConfig | None = None
    quantize: QuantizeConfig | None = None
    finetune: FinetuneConfig | None = None
    package: PackageConfig | None = None

    @model_validator(mode="after")
    def _one_stage(self) -> StageItem:
        if len(self.model_fields_set) != 1:
            raise ValueError(
                "Each entry of `stages` is one stage, such as `- quantize: {}`; stages are "
                f"{', '.join(type(self).model_fields)}."
            )
        try:
            _ = self.options  # `- prune:` alone lacks what a stage cannot do without
        except ValidationError as error:
            told = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            raise ValueError(f"{self.name}: {told}") from error
        return self

    @property
    def name(self) -> str:
        """Name of the stage."""
        return next(iter(self.model_fields_set))

    @property
    def options(self) -> StageOptions:
        """Options of the stage; its defaults where the YAML gives none."""
        given: StageOptions | None = getattr(self, self.name)
        return given if given is not None else STAGE_OPTIONS[self.name]()


STAGE_OPTIONS: dict[str, type[StageOptions]] = {
    name: get_args(field.annotation)[0] for name, field in StageItem.model_fields.items()
}
"""The class of each stage's options."""
