"""What is to be proved: the model as given, the prepared one, and what the run made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.devices.profiles import DeviceProfile
from snapq.pipeline.available import SOURCE
from snapq.pipeline.inputs import Setting
from snapq.pipeline.steps import Finished
from snapq.records import BundleTargetRecord, EstimateRecord, PlacementRecord
from snapq.stages.artifact import Artifact
from snapq.stages.package.stage import Packaged

if TYPE_CHECKING:
    from snapq.graph.boundary import Boundary


@dataclass(frozen=True)
class Subject:
    """The models of a run and what its package stage recorded.

    Attributes:
        setting: the run's setting.
        source: the model as given, shapes frozen: the baseline.
        prepared: the float model after the prepare stage.
        floats: the last float model: what was quantized, or what was packaged as float.
        quantized: the last Q/DQ model with float inputs and outputs; None where there is none.
        aligned: whether the tensors of `quantized` have the shapes of those of `floats`; they have
            not where integers were cut.
        packaged: what the package stage recorded; None where there is none.
        bundle: the bundle in the run directory; None where there is none.
    """

    setting: Setting
    source: Artifact
    prepared: Artifact
    floats: Artifact
    quantized: Artifact | None
    aligned: bool
    packaged: Packaged | None
    bundle: Path | None

    @classmethod
    def of(cls, chosen: Setting, finished: Sequence[Finished], folder: Path) -> Subject:
        """Finds the models of a run among its finished steps."""
        by_name = {item.step.name: item.artifact for item in finished}
        package = by_name.get("package")
        models = [item.artifact for item in finished if item.step.name not in (SOURCE, "package")]
        quantized = [model for model in models if model.precision != "float"]
        return cls(
            setting=chosen,
            source=by_name[SOURCE],
            prepared=by_name["prepare"],
            floats=[model for model in models if model.precision == "float"][-1],
            quantized=quantized[-1] if quantized else None,
            aligned=not any(
                item.step.name == "prune" and item.artifact.precision != "float"
                for item in finished
            ),
            packaged=Packaged.read(package.folder) if package else None,
            bundle=folder / "bundle" if package else None,
        )

    @property
    def label(self) -> str:
        """Precision of what the run made: `w8a8`; `fp16` for a packaged float model."""
        if self.quantized is not None:
            return self.quantized.precision
        return "fp16"

    @property
    def device(self) -> DeviceProfile:
        """The device that is simulated: the first target."""
        return self.setting.devices[0]

    @property
    def boundary(self) -> Boundary:
        """What the package takes and gives; the plan of it where nothing is packaged."""
        return self.packaged.boundary if self.packaged else self.setting.boundary

    @property
    def placements(self) -> tuple[PlacementRecord, ...]:
        """Placement of each compiled package."""
        return self.packaged.placements if self.packaged else ()

    @property
    def estimates(self) -> tuple[EstimateRecord, ...]:
        """Estimate of each compiled package."""
        return self.packaged.estimates if self.packaged else ()

    @property
    def bundle_targets(self) -> tuple[BundleTargetRecord, ...]:
        """The compiled targets of the bundle."""
        return self.packaged.targets if self.packaged else ()
