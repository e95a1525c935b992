"""Compiles with one set of options, as most tests want it."""

from __future__ import annotations

from pathlib import Path

from snapq.devices.profiles import DeviceProfile
from snapq.npu.qnn.compile import Compiled, compile_best
from snapq.npu.qnn.options import CompileOptions


def compile_context(
    model: Path,
    device: DeviceProfile,
    out: Path,
    options: CompileOptions | None = None,
    *,
    embed: bool = False,
    allow_cpu: bool = False,
    label: str = "",
) -> Compiled:
    tried = (options or CompileOptions(),)
    return compile_best(
        model, device, out, tried, embed=embed, allow_cpu=allow_cpu, label=label
    ).compiled
