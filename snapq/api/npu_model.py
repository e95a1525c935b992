"""A model as the NPU compiler takes it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.devices.profiles import DeviceProfile

if TYPE_CHECKING:
    from snapq.graph.shapes import InputShapes
    from snapq.npu.qnn.options import CompileOptions


@contextmanager
def static_model(model: Path, shapes: InputShapes) -> Iterator[tuple[Path, str]]:
    """Yields the model with fixed shapes, as a file, and its precision: `fp16` or `Q/DQ`."""
    from snapq.graph import io
    from snapq.graph.shapes import freeze

    loaded = io.load(model)
    operators = {node.op_type for node in loaded.graph}
    if "EPContext" in operators:
        yield model, "compiled"
        return
    precision = "Q/DQ" if "DequantizeLinear" in operators else "fp16"
    with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
        path = Path(folder) / "model.onnx"
        io.save(freeze(loaded, shapes), path)
        yield path, precision


def compile_options(precision: str, device: DeviceProfile) -> CompileOptions:
    """Float nodes compute at fp16 where the device has it; a float model needs that."""
    from snapq.npu.qnn.options import CompileOptions

    return CompileOptions(fp16=precision == "fp16" or "fp16" in device.precisions)
