"""What can be predicted of a device, and with which error."""

from __future__ import annotations

from snapq.devices.profiles import DeviceProfile
from snapq.prediction.network import Kind
from snapq.prediction.table import Fit, Table

__all__ = ["by_precision", "in_short", "sentence"]


def by_precision(table: Table, device: DeviceProfile) -> dict[str, tuple[Fit, ...]]:
    """The fits of a device by precision, `fp16` for float, that of all networks first."""
    found: dict[str, list[Fit]] = {}
    for fit in sorted(table.of_device(device.name), key=lambda one: one.kind is not Kind.ANY):
        name = "fp16" if fit.precision == "float" else fit.precision
        found.setdefault(name, []).append(fit)
    return {name: tuple(fits) for name, fits in found.items()}


def in_short(table: Table, device: DeviceProfile) -> str:
    """`fp16 5 %, w8a8 7 %` with the largest median error of each; `no` where there are none."""
    parts = [
        f"{name} {_share(max(fit.median_error for fit in fits))}"
        for name, fits in by_precision(table, device).items()
    ]
    return ", ".join(parts) or "no"


def sentence(fit: Fit) -> str:
    """`through ONNX Runtime, from 42 networks, median error 5 %, largest 31 %`."""
    runtime = "ONNX Runtime" if fit.runtime == "onnx" else "the fastest of Qualcomm's runtimes"
    kind = "" if fit.kind is Kind.ANY else f" ({fit.kind})"
    text = (
        f"through {runtime}, from {fit.networks} networks{kind}, median error "
        f"{_share(fit.median_error)}, largest {_share(fit.largest_error)}, 80 % interval "
        f"{fit.low:.2f} to {fit.high:.2f} of the median"
    )
    return text if fit.source == fit.device else f"{text}, by transfer from {fit.source}"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"
