"""Whether the names that gates have limits for are those of devices and outputs of this run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from snapq.config import DeployConfig
from snapq.devices import profiles
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ConfigError, DeviceError, did_you_mean

BY_OUTPUT = ("max_accuracy_drop", "min_sqnr_db", "min_equal_answers")
BY_DEVICE = (
    *BY_OUTPUT,
    "npu_nodes",
    "min_predicted_speedup",
    "max_predicted_ms",
    "min_estimated_speedup",
    "max_estimated_us",
    "max_compiled_mb",
)


def check_gate_names(
    config: DeployConfig, devices: Sequence[DeviceProfile], outputs: Sequence[str]
) -> None:
    """Refuses a limit for what the run has not, before any work.

    Raises:
        ConfigError: a name is none of a device or output; the nearest is offered.
    """
    for gate in BY_DEVICE:
        limits = getattr(config.gates, gate)
        if not isinstance(limits, Mapping):
            continue
        for name in limits:
            if not is_device(name, devices):
                _check_output(config, gate, name, devices, outputs)


def is_device(name: str, devices: Sequence[DeviceProfile]) -> bool:
    """Whether a name is that of one of the run's devices, or one of its other names."""
    try:
        return profiles.find(name) in devices
    except DeviceError:
        return False


def _check_output(
    config: DeployConfig,
    gate: str,
    name: str,
    devices: Sequence[DeviceProfile],
    outputs: Sequence[str],
) -> None:
    where = f"gates.{gate}.{name}"
    known = [*(device.name for device in devices), *(outputs if gate in BY_OUTPUT else ())]
    if name not in known:
        kind = "device or output" if gate in BY_OUTPUT else "device"
        raise ConfigError(
            f"The run has no {kind} `{name}`.",
            where=where,
            hint=did_you_mean(name, known, f"It has {', '.join(known)}."),
        )
    if gate == "max_accuracy_drop" and isinstance(config.metric, str):
        raise ConfigError(
            "The run has one metric for the whole model, and a limit for one output.",
            where=where,
            hint=f"Name it for the output: metric: {{{name}: {config.metric}}}",
        )
