"""The ways in which a board can lack its NPU."""

from __future__ import annotations

from enum import StrEnum


class NpuState(StrEnum):
    """Why the board's NPU cannot be used."""

    NO_DEVICE = "no-device"
    """No `/dev/fastrpc-cdsp`: a kernel without the driver, or no NPU at all."""
    UNKNOWN_SOC = "unknown-soc"
    """The device is there, and the kernel's number of the SoC is one that nobody knows."""
    NO_LIBRARY = "no-library"
    """The device is there, and `libcdsprpc` is not installed."""
    NO_LINK = "no-link"
    """Only `libcdsprpc.so.1` is installed; the name without a number is missing."""
    NO_ANSWER = "no-answer"
    """All is installed, and the DSP does not answer."""
    NO_LIBATOMIC = "no-libatomic"
    """All is installed but `libatomic1`, which part of Qualcomm's runtime needs."""
