"""`estimate`: Qualcomm's Performance Estimate of one model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.public import public
from snapq.api.shared import QuantizedModel, model_path, npu_source
from snapq.records import EstimateRecord

if TYPE_CHECKING:
    from snapq.graph.shapes import InputShapes


@public
def estimate(
    model: str | Path | QuantizedModel,
    device: str,
    *,
    inputs: InputShapes | None = None,
    outputs: Sequence[str] = (),
) -> EstimateRecord:
    """Qualcomm's Performance Estimate of a model: Q/DQ at its precision, float at fp16.

    Args:
        model: path of an ONNX model, or what `quantize` returned.
        device: device name; where it has no estimate of its own, the nearest architecture's is
            given and named in `estimated_on`.
        inputs: shape of each input; needed where the model's are dynamic.
        outputs: inner tensors to cut at; what is in front of them is estimated.

    Returns:
        The estimate; `us` is the accelerator time in microseconds.

    Raises:
        DeviceError: the device is unknown or cannot run the model's precision.
        QnnError: a node cannot run on the NPU; nodes and reasons are named.
        InstallError: onnxruntime-qnn is missing.
    """
    from snapq.devices.profiles import find
    from snapq.graph.foreign import explaining
    from snapq.npu.model import Model

    profile = find(device)
    path = model_path(model)
    with explaining(path):
        source, precision = npu_source(path, inputs or {}, outputs, profile)
        return Model(source, profile).estimate(precision)
