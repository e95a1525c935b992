"""Compiles the C++ program of a bundle against ONNX Runtime's headers and the wheel's library."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

from tests import assets

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")


def api() -> Path:
    """Folder of ONNX Runtime's C++ headers and `classes.jar`."""
    try:
        return assets.onnxruntime_api()
    except assets.UnavailableError as error:
        pytest.skip(str(error))


def library(folder: Path) -> Path:
    """A folder with the wheel's `libonnxruntime.so`, under the names that a linker looks for."""
    found = sorted(_beside("onnxruntime", "capi").glob("libonnxruntime.so.*"))
    if not found:
        pytest.skip("this wheel of onnxruntime has no library of its own")
    folder.mkdir(exist_ok=True)
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        if not (folder / name).exists():
            (folder / name).symlink_to(found[0])
    return folder


def provider() -> Path:
    """The library of the QNN provider; on x86_64 it has Qualcomm's simulator."""
    return _beside("onnxruntime_qnn", "libonnxruntime_providers_qnn.so")


def compiled(bundle: Path, folder: Path, compiler: str = "g++", found: Path | None = None) -> Path:
    """The program `samples/main.cpp` of a bundle, for the library in `found`, or this machine's."""
    lib, program = found or library(folder / "lib"), folder / "program"
    done = subprocess.run(
        [
            *(compiler, "-std=c++17", *STRICT, "-isystem", api(), "-I", bundle / "include"),
            *(bundle / "samples/main.cpp", "-o", program),
            *("-L", lib, "-lonnxruntime", f"-Wl,-rpath,{lib}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return program


def _beside(package: str, name: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / name
