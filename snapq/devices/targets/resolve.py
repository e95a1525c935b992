"""From the `target` of deploy.yaml or of the command line to a target."""

from __future__ import annotations

from snapq.devices.profiles import DeviceProfile
from snapq.devices.targets.base import Target
from snapq.errors import ConfigError, nearest

TARGETS = {
    "local": "this machine's CPU",
    "htp-sim": "Qualcomm's simulator of the NPU",
}
"""Name of each target, and what it is."""


def resolve_target(name: str, device: DeviceProfile | None = None) -> Target:
    """The target called `name`.

    Args:
        name: one of `TARGETS`.
        device: the device to simulate, which `htp-sim` needs.

    Raises:
        ConfigError: no target is called so, or it needs a device.
    """
    if name == "local":
        from snapq.devices.targets.local import LocalTarget

        return LocalTarget()
    if name == "htp-sim":
        from snapq.devices.targets.simulator import SimulatorTarget

        if device is None:
            raise ConfigError("The simulator needs a device.", where="target htp-sim")
        return SimulatorTarget(device)
    close = nearest(name, TARGETS)
    hint = f"Did you mean {close}? " if close else ""
    known = ", ".join(f"{target} ({meaning})" for target, meaning in TARGETS.items())
    raise ConfigError(f"No target is called {name!r}.", mend=f"{hint}There are {known}.")
