"""The schemes of the hunt: how a prepared graph is quantized, and what the CPU makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.devices.profiles import DeviceProfile
from snapq.graph.float16.run import write_for_float16
from snapq.precision import ActivationType, WeightType
from snapq.quantization.agreement.noise import rounded_to_float16
from snapq.quantization.qdq.wide_bias import as_added
from snapq.quantization.quantize import Scheme, quantize

Array = np.ndarray[Any, np.dtype[Any]]

INTEGERS = {
    "w8a8": (WeightType.INT8, ActivationType.UINT8),
    "w8a16": (WeightType.INT8, ActivationType.UINT16),
    "w4a16": (WeightType.INT4, ActivationType.UINT16),
}
SCHEMES = (*INTEGERS, "fp16")


def supported(scheme: str, device: DeviceProfile) -> bool:
    """Whether the device computes in it."""
    return scheme in device.precisions


def quantized(
    prepared: ir.Model, feeds: Sequence[dict[str, Array]], scheme: str, device: DeviceProfile
) -> ir.Model:
    """The model that goes to the NPU; for fp16 the float one, written as a package has it."""
    if scheme == "fp16":
        model = prepared.clone()
        write_for_float16(model)
        return model
    weights, activations = INTEGERS[scheme]
    wanted = Scheme(
        weights,
        activations,
        architecture=device.architecture,
        float16="fp16" in device.precisions,
    )
    return quantize(prepared, feeds, wanted).model


def on_cpu(model: ir.Model, scheme: str) -> CpuModel:
    """The same model on the CPU; a float one rounds each result to float16, as the NPU does."""
    changed = rounded_to_float16(model) if scheme == "fp16" else as_added(model)
    return CpuModel(changed, optimize=False)
