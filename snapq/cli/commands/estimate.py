"""`snapq estimate` estimates the accelerator time of one model."""

from __future__ import annotations

from snapq.cli.options import InputOption, Json, ModelArgument, Target, existing, parse_shapes
from snapq.cli.output.json import emit


def estimate(
    model: ModelArgument,
    target: Target,
    input_: InputOption = None,
    json: Json = False,
) -> None:
    """Give Qualcomm's own estimate of the accelerator time of a model, float (fp16) or Q/DQ.

    Example: snapq estimate model.w8a8.onnx --target qcs9075
    """
    from snapq import api
    from snapq.cli.output import tables

    found = api.estimate(existing(model), target, inputs=parse_shapes(input_))
    if json:
        emit(found.to_json())
    else:
        tables.show_estimate(found)
