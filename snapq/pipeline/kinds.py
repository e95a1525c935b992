"""Which devices of a run may come to have packages of their own: those that differ in kind.

`precision: auto` takes the fastest precision by the estimate among those that a device has, and
passes are judged by the estimate; `batch: auto` takes how many samples a call takes by it. So
devices with the same estimate and the same precisions are of one kind.
"""

from __future__ import annotations

from snapq.config import PackageConfig
from snapq.devices.profiles import DeviceProfile, nearest_with_estimate
from snapq.errors import DeviceError
from snapq.pipeline.inputs import Setting

__all__ = ["kinds"]


def kinds(
    setting: Setting, devices: tuple[DeviceProfile, ...]
) -> tuple[tuple[DeviceProfile, ...], ...]:
    """Some devices of a run by kind, in the order of the YAML.

    All are of one kind where one model has to serve all: a classical model, or a container for
    several SoCs.
    """
    options = [item.options for item in setting.config.stages]
    container = any(isinstance(one, PackageConfig) and one.multi_soc for one in options)
    if container or setting.classical is not None:
        return (devices,)
    groups: dict[tuple[str, tuple[str, ...]], list[DeviceProfile]] = {}
    for device in devices:
        groups.setdefault((_estimated_on(device), device.precisions), []).append(device)
    return tuple(map(tuple, groups.values()))


def _estimated_on(device: DeviceProfile) -> str:
    try:
        return nearest_with_estimate(device).name
    except DeviceError:
        return ""
