"""Which NPUs compute the same, to the bit: one simulation speaks for all of a kind.

Kinds were found by running the same models on the simulators of every architecture (QAIRT 2.51):
w8a8 has two, w8a16 four. Of everything else, mixes and fp16 among them, each architecture counts
as a kind of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from snapq.devices.profiles import DeviceProfile

__all__ = ["distinct", "kind"]

_SAME = {
    "w8a8": ((68, 69), (73, 75, 79, 81, 85)),
    "w8a16": ((68, 69), (73, 75, 79)),
}


def kind(architecture: int, precision: str) -> int:
    """The first architecture that computes as this one does at a precision such as `w8a8`."""
    for same in _SAME.get(precision, ()):
        if architecture in same:
            return same[0]
    return architecture


def distinct(
    devices: Sequence[DeviceProfile], precision: str
) -> tuple[tuple[DeviceProfile, ...], ...]:
    """The devices of each kind, in their order: one of them speaks for all."""
    groups: dict[int, list[DeviceProfile]] = {}
    for device in devices:
        groups.setdefault(kind(device.architecture, precision), []).append(device)
    return tuple(map(tuple, groups.values()))
