"""Whether Qualcomm's runtime is here, whole, and of a version that was tested.

Looking costs nothing: no native library is loaded. `snapq.npu.qnn.libraries` loads them, in
workers.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from snapq.errors import InstallError

PACKAGE = "onnxruntime-qnn"
TESTED = {"2.7.0": "2.51.0"}
"""Versions of onnxruntime-qnn that snapq was tested with, and the QAIRT in each."""

_PLATFORMS = {("linux", "x86_64"), ("linux", "aarch64"), ("win32", "amd64"), ("win32", "arm64")}
PURPOSES = {
    "libonnxruntime_providers_qnn": "the execution provider",
    "libQnnHtp": "the NPU backend and, on x86_64, its simulator",
    "libQnnSystem": "reads compiled binaries",
    "libHtpPrepare": "the NPU compiler",
    "libQnnIr": "writes DLC files",
}
"""Base names of the libraries that snapq uses, and what for."""

_HOST_ONLY = {"libHtpPrepare", "libQnnIr"}
"""Needed where models are compiled; on a board the backend compiles by itself."""


@dataclass(frozen=True)
class Availability:
    """What is known of the installed runtime."""

    installed: bool
    version: str | None
    """Of onnxruntime-qnn."""
    qairt: str | None
    """Of Qualcomm's runtime inside it."""
    supported: bool
    """Whether there is a runtime for this platform."""
    tested: bool
    """Whether this version is one that snapq was tested with."""
    missing: tuple[str, ...]
    """Libraries that should be there and are not."""
    reason: str | None
    """Why it cannot be used, or a warning where it can; None where all is well."""
    hint: str | None

    @property
    def usable(self) -> bool:
        """Whether compiling, simulating and estimating can be tried."""
        return self.installed and self.supported and not self.missing


def status() -> Availability:
    """What is installed; never raises."""
    machine = platform.machine().lower()
    version = _version()
    if (sys.platform, machine) not in _PLATFORMS:
        reason = f"Qualcomm's runtime does not exist for {sys.platform} on {machine}."
        hint = "Use x86_64 or arm64 Linux or Windows; what needs only the CPU works here too."
        return Availability(version is not None, version, None, False, False, (), reason, hint)
    folder = library_folder()
    if version is None or folder is None:
        reason, hint = f"{PACKAGE} is not installed.", f"Run: pip install {PACKAGE}"
        return Availability(False, None, None, True, False, (), reason, hint)
    missing = tuple(name for name in required() if not library(name, folder).is_file())
    tested = version in TESTED
    fault: tuple[str | None, str | None] = (None, None)
    if missing:
        fault = (
            f"{PACKAGE} {version} is damaged: {', '.join(missing)} missing.",
            f"Run: pip install --force-reinstall --no-deps {PACKAGE}=={version}",
        )
    elif not tested:
        fault = (
            f"{PACKAGE} {version} was not tested with this version of snapq.",
            f"If something fails: pip install {PACKAGE}=={max(TESTED)}",
        )
    qairt = _qairt(folder) or TESTED.get(version)
    return Availability(True, version, qairt, True, tested, missing, *fault)


def require() -> Availability:
    """What is installed, where it can be used.

    Raises:
        InstallError: it is not installed, damaged, or not made for this platform.
    """
    found = status()
    if not found.usable:
        raise InstallError(found.reason or "Qualcomm's runtime cannot be used.", hint=found.hint)
    return found


def required() -> tuple[str, ...]:
    """Base names of the libraries that must be there on this machine."""
    host = platform.machine().lower() in {"x86_64", "amd64"}
    return tuple(name for name in PURPOSES if host or name not in _HOST_ONLY)


def library_folder() -> Path | None:
    """Where the native libraries are; None where the package is not installed."""
    try:
        import onnxruntime_qnn
    except ImportError:
        return None
    return Path(onnxruntime_qnn.LIB_DIR_FULL_PATH)


def library(name: str, folder: Path | None = None) -> Path:
    """The file of a library with this base name (`libQnnHtp`), whether or not it is there.

    Raises:
        InstallError: the package is not installed.
    """
    place = folder or library_folder()
    if place is None:
        raise InstallError(f"{PACKAGE} is not installed.", hint=f"Run: pip install {PACKAGE}")
    if sys.platform == "win32":
        return place / f"{name.removeprefix('lib')}.dll"
    return place / f"{name}.so"


def _version() -> str | None:
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def _qairt(folder: Path) -> str | None:
    """The version of QAIRT that the package's own build information names."""
    file = folder / "build_and_package_info.py"
    if not file.is_file():
        return None
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "qnn_version":
            return value.strip().strip("'\"")
    return None
