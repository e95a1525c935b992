"""`list_devices` and `find_device`: the chips that packages are compiled for."""

from __future__ import annotations

from snapq.api.public import public
from snapq.devices import profiles
from snapq.devices.profiles import DeviceProfile


@public
def list_devices(text: str | None = None) -> tuple[DeviceProfile, ...]:
    """The device profiles, sorted by name.

    Args:
        text: only those with this in their name, an alias, their id or architecture (`v75`).
    """
    return profiles.all_profiles() if text is None else profiles.search(text)


@public
def find_device(name: str) -> DeviceProfile:
    """The profile with this name, alias, marketing name or SoC id.

    Raises:
        DeviceError: no profile answers to it; the message offers the nearest.
    """
    return profiles.find(name)
