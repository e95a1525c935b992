"""The kernel's number of a SoC, `/sys/devices/soc0/soc_id`, which is not Qualcomm's `soc_model`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SOC_NUMBERS: Mapping[int, str] = MappingProxyType(
    {
        475: "sm7325",
        497: "qcs6490",
        498: "qcs6490",
        534: "sa8255p",
        555: "sc8380xp",
        557: "sm8650",
        603: "qcs8550",
        604: "qcs8550",
        618: "sm8750",
        660: "sm8850",
        667: "qcs9075",
        674: "qcs8275",
        675: "qcs8275",
    }
)
"""Number to device profile, of the SoCs that Qualcomm's runtime 2.51 finds an NPU on."""


def number_of(profile: str) -> int | None:
    """The lowest number of a device profile; None where the table has none."""
    return min((number for number, name in SOC_NUMBERS.items() if name == profile), default=None)
