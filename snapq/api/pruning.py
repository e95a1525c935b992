"""`prune`: one float model to one with fewer channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapq.api.public import choice, public
from snapq.api.shared import refuse_existing
from snapq.progress import Progress, Silent
from snapq.ranking import Importance

if TYPE_CHECKING:
    from snapq.api.calibration import GivenSamples
    from snapq.graph.shapes import InputShapes


@dataclass(frozen=True, repr=False)
class PrunedModel:
    """A pruned model on disk.

    Attributes:
        path: the ONNX file; inputs and outputs of the original.
        details: multiply-accumulates, bytes and the channels of each layer, before and after.
        notes: sentences on what could not be cut and why.
    """

    path: Path
    details: Mapping[str, Any]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<PrunedModel {self.path}>"


@public
def prune(
    model: str | Path,
    ratio: float,
    calibration: GivenSamples | str | Path | None = None,
    *,
    importance: str = Importance.ACTIVATION,
    repair: bool = True,
    step: int = 32,
    inputs: InputShapes | None = None,
    outputs: Sequence[str] = (),
    samples: int | None = None,
    random_inputs: bool = False,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PrunedModel:
    """Prepares a float model, cuts channels from it and refits the layers behind them.

    Args:
        model: path of a float ONNX model.
        ratio: share of the multiply-accumulates to take away.
        calibration: samples, as for `quantize`; not needed with `importance="magnitude"` and
            `repair=False`.
        importance: `magnitude`, `activation`, `second-order` or `taylor`.
        repair: whether to refit.
        step: channel counts are brought to multiples of this.
        inputs: shape of each input; needed where the model's are dynamic.
        outputs: inner tensors to cut at; what is behind them goes to `OUTPUT.tail.onnx`.
        samples: use this many of the samples of a path.
        random_inputs: use random inputs as calibration, to try things out.
        output: where to write; `MODEL.pruned.onnx` beside the model where not given.
        overwrite: whether `output` may exist.
        progress: progress reporter; nothing is shown where not given.

    Raises:
        ConfigError: there is no calibration, or an option is not known.
        DataError: a sample does not fit the model.
        ModelError: the model cannot be read, or nothing of it can be cut.
    """
    from snapq.api.calibration import calibration_source
    from snapq.api.one_stage import stage_file
    from snapq.config import PruneConfig

    way = choice(Importance, importance, "importance")
    options = PruneConfig(ratio=ratio, importance=way, repair=repair, step=step)
    source = Path(model)
    path = Path(output) if output else source.with_suffix(".pruned.onnx")
    refuse_existing(path, overwrite)
    needed = repair or way is not Importance.MAGNITUDE or calibration is not None
    data = calibration_source(calibration, samples, random_inputs) if needed else None
    outcome = stage_file(
        "prune", source, path, data, options, (), inputs or {}, progress or Silent(), outputs
    )
    return PrunedModel(path, outcome.details, outcome.notes)
