"""`snapq doctor`: which of snapq's needs this machine meets, and how to meet the rest."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.version import Version

from snapq.errors import SnapqError

if TYPE_CHECKING:
    import onnx_ir as ir

NEEDED_DISK_GB = 2
NEEDED_MEMORY_GB = 2
TESTED_PYTHONS = ((3, 11), (3, 13))
TESTED_VERSIONS = Path(__file__).parents[1] / "constraints.txt"
"""The pinned versions that the tests of this release ran with; `make lock` refreshes them."""
EXTRAS = (
    ("cluster", "distributed", "--cluster"),
    ("search", "optuna", "snapq search"),
)
"""Extra, the library that it brings, and what that is for."""
SIMULATED = "sm8650"
ESTIMATED = "qcs9075"
_GB = 1 << 30


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        ok: whether snapq can work with what was found.
        found: what was found.
        hint: what to do where it is not ok, or could be better.
    """

    name: str
    ok: bool
    found: str
    hint: str | None = None


def checks() -> tuple[Check, ...]:
    """Looks at Python, the platform, libraries, Qualcomm's runtime, profiles and resources.

    A small model is really run on the simulator and estimated; nothing is written that stays.
    """
    return (
        _python(),
        _platform(),
        *_libraries(),
        *_extras(),
        _guarded("onnxruntime-qnn", _qnn),
        _guarded("NPU simulator", _simulator),
        _guarded("performance estimate", _estimate),
        _guarded("device profiles", _profiles),
        _guarded("telemetry", _telemetry),
        _disk(),
        _memory(),
        _cores(),
    )


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    """A look that may fail; what it raises is what was found."""
    try:
        return look()
    except SnapqError as error:
        found = f"{error.where}: {error.what}" if error.where else error.what
        return Check(name, False, found, error.hint or "Repair or remove what is named.")
    except ImportError as error:
        hint = "Install the libraries above again, or snapq from where you have it."
        return Check(name, False, f"a library is missing or damaged: {error}", hint)


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    low, high = TESTED_PYTHONS
    if sys.version_info[:2] < low:
        return Check("Python", False, found, f"Use Python {low[0]}.{low[1]} or later.")
    if sys.version_info[:2] > high:
        return Check("Python", True, f"{found}; tested up to {high[0]}.{high[1]}")
    return Check("Python", True, found)


def _platform() -> Check:
    from snapq.npu.runtime import status

    system = f"{platform.system()} {platform.release()} on {platform.machine()}"
    library, version = platform.libc_ver()
    found = f"{system}, {library} {version}" if library else system
    available = status()
    return Check(
        "platform", available.supported, found, None if available.supported else available.hint
    )


def _libraries() -> Iterator[Check]:
    """One check for each library that snapq requires here."""
    tested = _tested_versions()
    for text in importlib.metadata.requires("snapq") or ():
        requirement = Requirement(text)
        if requirement.name == "onnxruntime-qnn":
            continue
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        yield _library(requirement, tested.get(requirement.name.lower()))


def _extras() -> Iterator[Check]:
    """One check for each extra that a command asks for; none of them is needed."""
    for extra, library, what in EXTRAS:
        try:
            found = f"{library} {importlib.metadata.version(library)}, for {what}"
            yield Check(f"extra {extra}", True, found)
        except importlib.metadata.PackageNotFoundError:
            hint = f"For {what} run: pip install {library}"
            yield Check(f"extra {extra}", True, "not installed, and not needed otherwise", hint)


def _library(requirement: Requirement, tested: str | None) -> Check:
    name = requirement.name
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", f"Run: pip install '{requirement}'")
    if not requirement.specifier.contains(version, prereleases=True):
        hint = f"Run: pip install '{requirement}'"
        return Check(name, False, f"{version}; needed: {requirement.specifier}", hint)
    if tested is not None and Version(version) != Version(tested):
        return Check(name, True, f"{version}; tested: {tested}")
    return Check(name, True, version)


def _tested_versions() -> dict[str, str]:
    """Version of each distribution in the lock file."""
    lines = TESTED_VERSIONS.read_text(encoding="utf-8").splitlines()
    pins = (line.partition("==") for line in lines if "==" in line)
    return {name: version.strip() for name, _, version in pins}


def _qnn() -> Check:
    from snapq.npu.runtime import require, status

    found = require()
    text = f"{found.version}, QAIRT {found.qairt}"
    if not found.tested:
        return Check("onnxruntime-qnn", True, f"{text}; {found.reason}", status().hint)
    return Check("onnxruntime-qnn", True, text)


def _simulator() -> Check:
    import numpy as np

    from snapq.devices.profiles import find
    from snapq.npu.model import Model

    feeds = {"x": np.linspace(-1, 1, 8, dtype=np.float32).reshape(1, 8)}
    (outputs,) = Model(_small_model(), find(SIMULATED)).simulate([feeds])
    expected = np.maximum(feeds["x"], 0)
    worst = float(np.abs(outputs["y"] - expected).max())
    if worst > 1 / 64:
        hint = "Install onnxruntime-qnn again: pip install --force-reinstall onnxruntime-qnn"
        return Check("NPU simulator", False, f"wrong values, off by {worst:.3f}", hint)
    return Check("NPU simulator", True, f"a small model ran as on {SIMULATED}")


def _estimate() -> Check:
    from snapq.devices.profiles import find
    from snapq.npu.model import Model

    record = Model(_small_model(), find(ESTIMATED)).estimate()
    found = f"a small model, {record.us:.0f} us estimated on {record.estimated_on}"
    return Check("performance estimate", True, found)


def _small_model() -> ir.Model:
    """A Q/DQ model that computes `y = max(x, 0)` for x in -1..1 in steps of 1/128."""
    import onnx_ir as ir

    return ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["" : 21]>
        doctor (float[1, 8] x) => (float[1, 8] y)
        <float scale = {0.0078125}, uint8 zero_point = {128}> {
            x_quantized = QuantizeLinear(x, scale, zero_point)
            x_8 = DequantizeLinear(x_quantized, scale, zero_point)
            [relu] relu = Relu(x_8)
            y_quantized = QuantizeLinear(relu, scale, zero_point)
            y = DequantizeLinear(y_quantized, scale, zero_point)
        }
    """)


def _profiles() -> Check:
    from snapq.devices.profiles import all_profiles

    known = all_profiles()
    estimates = sum(profile.has_estimate for profile in known)
    return Check("device profiles", True, f"{len(known)}, {estimates} of them with an estimate")


def _telemetry() -> Check:
    from snapq.runtime import TELEMETRY_OFF, import_onnxruntime

    import_onnxruntime()
    off = all(os.environ.get(name) == value for name, value in TELEMETRY_OFF.items())
    switches = ", ".join(f"{name}={value}" for name, value in TELEMETRY_OFF.items())
    found = f"{'off' if off else 'ON'} ({switches}); snapq itself sends nothing"
    return Check("telemetry", off, found, None if off else f"Set {switches}.")


def _disk() -> Check:
    here = Path.cwd()
    free = shutil.disk_usage(here).free / _GB
    found = f"{free:.1f} GB free in {here}"
    if not os.access(here, os.W_OK):
        return Check("disk", False, f"{here} cannot be written", "Change to another folder.")
    if free < NEEDED_DISK_GB:
        return Check("disk", False, found, f"Free {NEEDED_DISK_GB} GB, or work elsewhere.")
    return Check("disk", True, found)


def _memory() -> Check:
    import psutil

    free = psutil.virtual_memory().available / _GB
    enough = free >= NEEDED_MEMORY_GB
    hint = None if enough else f"Close programs until {NEEDED_MEMORY_GB} GB are free."
    return Check("memory", enough, f"{free:.1f} GB free", hint)


def _cores() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check("cores", True, f"{cores}; the simulator uses all of them")
