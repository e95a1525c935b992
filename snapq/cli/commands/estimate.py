"""`snapq estimate` estimates the accelerator time of one model."""

from __future__ import annotations

from snapq.cli.options import (
    Batch,
    CutOption,
    Device,
    InputOption,
    Json,
    ModelArgument,
    OwnMeasurements,
    existing,
    parse_batches,
    parse_shapes,
)
from snapq.cli.output.json import emit


def estimate(
    model: ModelArgument,
    device: Device,
    input_: InputOption = None,
    cut_at: CutOption = None,
    own_measurements: OwnMeasurements = True,
    batch: Batch = None,
    json: Json = False,
) -> None:
    """Estimate the accelerator time of a model, float (fp16) or Q/DQ; predict a board's latency.

    The model is estimated as given; `snapq run` prepares it first, and shows both.

    Example: snapq estimate model.w8a8.onnx --device qcs9075

    Example: snapq estimate model.w8a8.onnx --device qcs9075 --batch auto
    """
    from snapq import api
    from snapq.cli.output import tables

    sizes, path, shapes = parse_batches(batch), existing(model), parse_shapes(input_)
    if len(sizes) > 1:
        several = api.estimate_batches(
            path, device, inputs=shapes, outputs=cut_at or (), sizes=sizes
        )
        if json:
            emit({"batches": [{**one.to_json(), "sample_us": one.sample_us} for one in several]})
        else:
            tables.show_batches(several)
        return
    found = api.predict(
        path,
        device,
        inputs=shapes,
        outputs=cut_at or (),
        own_measurements=own_measurements,
        batch=sizes[0],
    )
    if json:
        emit(found.to_json())
    else:
        tables.show_estimate(found.estimate)
        tables.show_prediction(found.prediction, found.problem)
