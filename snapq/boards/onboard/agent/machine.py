"""The board: whether it has an NPU, where its libraries lie, temperatures and clocks."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["conditions", "npu_absent", "prepare_environment", "run_clock"]

_EMULATED = "/etc/snapq/npu"  # as in probe.py

_NPU_NODES = ("fastrpc-cdsp*", "adsprpc-smd*")


def run_clock() -> Callable[[], int]:
    """The clock of runs in ns: on an emulated board, which counts, that of this process alone.

    There the connection lives by the host's time, and its work would count as the model's, more of
    it the busier the host is.
    """
    return time.process_time_ns if Path(_EMULATED).exists() else time.perf_counter_ns


def npu_absent() -> str | None:
    """Why no model can run on the NPU, as far as its device node tells."""
    nodes = sorted(node for pattern in _NPU_NODES for node in Path("/dev").glob(pattern))
    if not nodes:
        return "The board has no device node of an NPU (/dev/fastrpc-cdsp*)."
    if not any(os.access(node, os.R_OK | os.W_OK) for node in nodes):
        return f"This user may not open the device node of the NPU, {nodes[0]}."
    return None


def prepare_environment(environment: dict[str, Any]) -> None:
    """What must stand in the environment before a child starts: it is read when it is loaded."""
    os.environ.update({"ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1"})
    sys.path[:0] = environment["paths"]
    found = importlib.util.find_spec("onnxruntime_qnn")
    folders = []
    for place in (found.submodule_search_locations or []) if found else []:
        folders += [str(path.parent) for path in sorted(Path(place).rglob("libQnnHtp.so"))]
    for variable, separator, more in (
        ("LD_LIBRARY_PATH", ":", []),
        ("ADSP_LIBRARY_PATH", ";", ["/usr/lib/rfsa/adsp", "/vendor/lib/rfsa/adsp", "/dsp"]),
    ):
        before = [part for part in os.environ.get(variable, "").split(separator) if part]
        if folders:
            os.environ[variable] = separator.join([*folders, *before, *more])
    os.environ.update(environment["variables"])


def conditions() -> dict[str, Any]:
    """Temperature, clocks, load and memory, as far as the kernel tells."""
    zones = {}
    thermal = Path("/sys/class/thermal")
    for zone in sorted(thermal.glob("thermal_zone*"))[:64]:
        temperature = _number(zone / "temp")
        if temperature is not None:
            name = "{} {}".format(zone.name[len("thermal_zone") :], _text(zone / "type"))
            zones[name] = temperature / 1000
    cpus = sorted(Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))[:64]
    cooling = [_number(path / "cur_state") for path in thermal.glob("cooling_device*")]
    return {
        "at_s": time.monotonic(),
        "celsius": zones,
        "cpu_khz": [_number(cpu / "scaling_cur_freq") for cpu in cpus],
        "cpu_limit_khz": [_number(cpu / "scaling_max_freq") for cpu in cpus],
        "governors": sorted({_text(cpu / "scaling_governor") for cpu in cpus}),
        "cooling": max([state for state in cooling if state is not None], default=None),
        "load": os.getloadavg()[0],
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()[:100]
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None
