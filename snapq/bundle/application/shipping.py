"""Which libraries an application ships beside the package, by operating system.

Names are those in the wheels of onnxruntime-qnn 2.7.0 for Linux aarch64 and Windows ARM64; those of
Android are what the provider's documentation names (docs/execution_providers in
github.com/onnxruntime/onnxruntime-qnn).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snapq.bundle.application.templating import render
from snapq.bundle.schema import BundleDevice, Manifest
from snapq.devices.profiles import find
from snapq.errors import SnapqError

__all__ = ["System", "systems"]

WINDOWS_ARCHITECTURES = (68, 73, 81)
LINUX_ARCHITECTURES = (68, 69, 73, 75, 79, 81)
"""Hexagon versions with libraries in the wheels."""


@dataclass(frozen=True)
class System:
    """An operating system, and what is needed there, in Markdown."""

    title: str
    text: str


def systems(manifest: Manifest) -> tuple[System, ...]:
    """What to ship on each system that the devices are known to run; on all where none is known."""
    known: dict[str, list[BundleDevice]] = {}
    for entry in manifest.devices:
        for name in _systems_of(entry):
            known.setdefault(name, []).append(entry)
    made = {"linux": _linux, "windows": _windows, "android": _android}
    return tuple(write(known[name], manifest) for name, write in made.items() if name in known)


def _systems_of(entry: BundleDevice) -> tuple[str, ...]:
    try:
        found = find(entry.device).os
    except SnapqError:  # a profile of somebody else's
        found = ()
    return found or ("linux", "windows", "android")


def _linux(devices: Sequence[BundleDevice], manifest: Manifest) -> System:
    versions, missing = _versions(devices, LINUX_ARCHITECTURES)
    libraries = [f"`libQnnHtpV{v}Stub.so`, `libQnnHtpV{v}Skel.so`" for v in versions]
    text = (
        "From the aarch64 wheels of onnxruntime (`onnxruntime/capi/libonnxruntime.so.1.*`, shipped "
        "as `libonnxruntime.so.1`) and onnxruntime-qnn (folder `onnxruntime_qnn`): "
        f"`libonnxruntime_providers_qnn.so`, `libQnnHtp.so`, `libQnnSystem.so`, "
        f"{', '.join(libraries)}; `libQnnHtpPrepare.so` only where `model.onnx` is compiled on the "
        "device. Set `ADSP_LIBRARY_PATH` to their folder, and give the user access to "
        "`/dev/fastrpc-cdsp`. Ship " + _package(devices, manifest) + missing
    )
    return System("Linux on ARM64", text)


def _windows(devices: Sequence[BundleDevice], manifest: Manifest) -> System:
    versions, missing = _versions(devices, WINDOWS_ARCHITECTURES)
    libraries = [
        f"`QnnHtpV{v}Stub.dll`, `libQnnHtpV{v}Skel.so`"
        + (f", `libqnnhtpv{v}.cat`" if v != 68 else "")
        for v in versions
    ]
    text = (
        "From the win_arm64 wheels of onnxruntime (`onnxruntime.dll`) and onnxruntime-qnn, or from "
        "NuGet (Microsoft.ML.OnnxRuntime, Qualcomm.ML.OnnxRuntime.QNN): "
        f"`onnxruntime_providers_qnn.dll`, `QnnHtp.dll`, `QnnSystem.dll`, {', '.join(libraries)}; "
        "`QnnHtpPrepare.dll` only where `model.onnx` is compiled on the device. Ship "
        + _package(devices, manifest)
        + missing
        + " snapq has not been run on such a machine; `verify.py` says there whether all is well."
    )
    return System("Windows on Snapdragon", text)


def _android(devices: Sequence[BundleDevice], manifest: Manifest) -> System:
    entry = devices[0]
    version = entry.architecture
    binary = entry.binaries[0].path if entry.binaries else entry.model
    files = " ".join(f"{number}.raw" for number in range(len(manifest.inputs)))
    text = render(
        "android.md",
        device=entry.device,
        version=version,
        qairt=_short(entry.qairt),
        package=_package(devices, manifest),
        binary=binary,
        file=binary.rsplit("/", 1)[-1],
        inputs=files,
    )
    return System("Android", text.rstrip())


def _package(devices: Sequence[BundleDevice], manifest: Manifest) -> str:
    """What of the bundle an application needs."""
    folders = ", ".join(f"`devices/{entry.device}/`" for entry in devices)
    beside = [manifest.tail.model] if manifest.tail is not None else []
    if manifest.host is not None:
        beside += [name for name in (manifest.host.head_model, manifest.host.tail_model) if name]
    names = "".join(f", `{name}`" for name in beside)
    return f"{folders}{names} (both files of a folder stay together)"


def _versions(devices: Sequence[BundleDevice], there: Sequence[int]) -> tuple[list[int], str]:
    """Hexagon versions of the devices, and a sentence about those without libraries."""
    versions = sorted({entry.architecture for entry in devices})
    absent = [f"v{version}" for version in versions if version not in there]
    if not absent:
        return versions, "."
    return versions, (
        f". The wheels of onnxruntime-qnn 2.7.0 for this system have no libraries for "
        f"{', '.join(absent)}: take them from the QAIRT SDK."
    )


def _short(qairt: str) -> str:
    """`2.50.0` of `2.50.0.260828221209`."""
    return ".".join(qairt.removeprefix("v").split(".")[:3])
