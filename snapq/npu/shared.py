"""The facade to compiling several graphs of the same weights into one binary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from snapq.devices.profiles import DeviceProfile
from snapq.npu.qnn import shared
from snapq.npu.qnn.options import CompileOptions

__all__ = ["compile_shared"]


def compile_shared(models: Mapping[str, Path], device: DeviceProfile, folder: Path) -> list[Path]:
    """Compiles Q/DQ graphs for a device into `NAME_ctx.onnx` each and one binary.

    Args:
        models: files by name.
        device: what for.
        folder: the folder to write.

    Returns:
        What was written, the binary last.

    Raises:
        QnnError: a graph does not compile, or weights are not shared.
    """
    options = CompileOptions(fp16="fp16" in device.precisions)
    found = shared.compile_shared(models, device, folder, options)
    return [*found.values(), *sorted(folder.glob("*.bin"))]
