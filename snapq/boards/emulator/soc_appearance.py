"""What makes the emulated board look like one with a Snapdragon: its /sys, /dev and libraries.

There is no NPU behind it. Each `NpuState` is a way in which a real board can lack its NPU, and
Qualcomm's own library says on the emulated board what it says on a real one.
"""

from __future__ import annotations

from collections.abc import Mapping

from snapq.boards.emulator import fastrpc_library, initramfs
from snapq.boards.emulator.initramfs import Entry
from snapq.boards.emulator.npu_state import NpuState
from snapq.boards.emulator.recipe import script
from snapq.devices import profiles
from snapq.devices.soc_numbers import SOC_NUMBERS, number_of
from snapq.errors import DeviceError

PROGRAM = "etc/snapq/soc-appearance"
"""Runs when the board boots; run again with the name of another state, it changes the state."""
ZONES = ("cpu-0-0-usr", "gpuss-0-usr", "nspss-0-usr")
"""Thermal zones of the board, named as on Snapdragons."""


def entries(soc: str | None, state: NpuState) -> dict[str, Entry]:
    """Files that make the board look like one with this SoC, by path below its root.

    Args:
        soc: name of a device profile; None for QEMU's own board.
        state: why the NPU cannot be used.

    Raises:
        DeviceError: no such profile, or its number in the kernel is not known.
    """
    files = {f"sys/{path}": text for path, text in _sys(soc)} if soc is not None else {}
    return {
        **{f"etc/snapq/{path}": initramfs.file(f"{text}\n") for path, text in files.items()},
        "etc/snapq/npu": initramfs.file(f"{state}\n"),
        f"etc/snapq/{fastrpc_library.SONAME}": initramfs.file(fastrpc_library.library()),
        PROGRAM: initramfs.file(script("soc_appearance"), 0o755),
    }


def _sys(soc: str) -> list[tuple[str, str]]:
    profile = profiles.find(soc)
    number = number_of(profile.name)
    if number is None:
        known = ", ".join(sorted(set(SOC_NUMBERS.values())))
        raise DeviceError(
            "How the kernel numbers this SoC is not known, so that no board can look like it.",
            where=profile.name,
            hint=f"Use one of {known}.",
        )
    tables: dict[str, Mapping[str, str]] = {
        "devices/soc0": {
            "soc_id": str(number),
            "machine": profile.name.upper(),
            "family": "Snapdragon",
            "revision": "1.0",
        },
        "devices/system/cpu/cpu0/cpufreq": {
            "cpuinfo_max_freq": "2400000",
            "cpuinfo_min_freq": "300000",
            "scaling_cur_freq": "2400000",
            "scaling_governor": "performance",
            "scaling_max_freq": "2400000",
            "scaling_min_freq": "300000",
        },
        **{
            f"class/thermal/thermal_zone{number}": {"type": zone, "temp": "41000"}
            for number, zone in enumerate(ZONES)
        },
    }
    return [
        (f"{folder}/{name}", text)
        for folder, table in tables.items()
        for name, text in table.items()
    ]
