"""`snapq estimate` estimates the accelerator time of one model."""

from __future__ import annotations

from snapq.cli.options import (
    CutOption,
    Device,
    InputOption,
    Json,
    ModelArgument,
    OwnMeasurements,
    existing,
    parse_shapes,
)
from snapq.cli.output.json import emit


def estimate(
    model: ModelArgument,
    device: Device,
    input_: InputOption = None,
    cut_at: CutOption = None,
    own_measurements: OwnMeasurements = True,
    json: Json = False,
) -> None:
    """Estimate the accelerator time of a model, float (fp16) or Q/DQ; predict a board's latency.

    Example: snapq estimate model.w8a8.onnx --device qcs9075
    """
    from snapq import api
    from snapq.cli.output import tables

    found = api.predict(
        existing(model),
        device,
        inputs=parse_shapes(input_),
        outputs=cut_at or (),
        own_measurements=own_measurements,
    )
    if json:
        emit(found.to_json())
    else:
        tables.show_estimate(found.estimate)
        tables.show_prediction(found.prediction, found.problem)
