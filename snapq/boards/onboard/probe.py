"""Says what a board is and what its NPU needs. Runs on the board; changes nothing there."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import stat
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

JOB: bytes = globals().get("JOB", b"")  # given by the host
DISTRIBUTIONS = ("numpy", "onnxruntime", "onnxruntime-qnn")
LIBRARY_FOLDERS = (
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib/aarch64-linux-gnu",
    "/vendor/lib64",
    "/system/lib64",
    "/usr/local/lib",
)
LIBRARIES = ("libcdsprpc.so", "libcdsprpc.so.1", "libatomic.so.1")
LONGEST = 200
EMULATED = "/etc/snapq/npu"
"""An emulated board of snapq's has this file, and no other board has."""


def main() -> None:
    """Prints everything as one line."""
    root = Path(json.loads(JOB)["root"]).expanduser()
    print(
        json.dumps(
            {
                "type": "board",
                "system": _system(),
                "processor": _processor(),
                "memory": _memory(),
                "disk": _disk(root),
                "python": {
                    "version": platform.python_version(),
                    "executable": sys.executable,
                    "distributions": _distributions(),
                },
                "soc": _soc(),
                "npu_nodes": _npu_nodes(),
                "libraries": {name: _library(name) for name in LIBRARIES},
                "thermal_zones": _thermal_zones(),
                "governors": _governors(),
                "environments": _environments(root),
                "emulated": Path(EMULATED).exists(),
                "clock": time.time(),
            }
        )
    )


def _system() -> dict[str, Any]:
    name = ""
    for line in _text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            name = line.partition("=")[2].strip("\"'")
    return {
        "os": name[:LONGEST] or platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "libc": list(platform.libc_ver()),
        "user": str(os.geteuid()),
        "host": platform.node()[:LONGEST],
    }


def _processor() -> dict[str, Any]:
    info = _text("/proc/cpuinfo", 1 << 20)
    found: dict[str, str] = {}
    for line in info.splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key.strip().lower(), value.strip())
    parts = sorted(set(re.findall(r"CPU part\s*: (\w+)", info)))
    model = found.get("model name") or found.get("hardware") or ", ".join(parts)
    return {
        "model": model[:LONGEST],
        "cores": os.cpu_count() or 1,
        "features": sorted((found.get("features") or found.get("flags") or "").split())[:500],
    }


def _memory() -> dict[str, int]:
    values = dict(re.findall(r"^(\w+):\s+(\d+) kB", _text("/proc/meminfo", 1 << 16), re.MULTILINE))
    return {
        "total": int(values.get("MemTotal", 0)) * 1024,
        "available": int(values.get("MemAvailable", 0)) * 1024,
    }


def _disk(root: Path) -> dict[str, Any]:
    place = root
    while not place.exists():
        place = place.parent
    return {
        "root": str(root),
        "free": shutil.disk_usage(str(place)).free,
        "writable": os.access(str(place), os.W_OK),
    }


def _distributions() -> dict[str, str]:
    found = {}
    for name in DISTRIBUTIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _soc() -> dict[str, str]:
    folder = Path("/sys/devices/soc0")
    names = ("soc_id", "machine", "family", "revision")
    return {name: _text(str(folder / name)) for name in names if (folder / name).is_file()}


def _npu_nodes() -> list[dict[str, Any]]:
    nodes = []
    for pattern in ("fastrpc-*", "adsprpc-smd*"):
        for path in sorted(Path("/dev").glob(pattern))[:32]:
            found = path.stat()
            nodes.append(
                {
                    "path": str(path),
                    "mode": stat.filemode(found.st_mode),
                    "owner": found.st_uid,
                    "group": found.st_gid,
                    "usable": os.access(str(path), os.R_OK | os.W_OK),
                }
            )
    return nodes


def _library(name: str) -> str | None:
    folders = [*os.environ.get("LD_LIBRARY_PATH", "").split(":"), *LIBRARY_FOLDERS]
    for folder in folders:
        if folder and (Path(folder) / name).exists():
            return str(Path(folder) / name)
    return None


def _thermal_zones() -> dict[str, float]:
    zones = {}
    for zone in sorted(Path("/sys/class/thermal").glob("thermal_zone*"))[:64]:
        with contextlib.suppress(ValueError):
            number = zone.name[len("thermal_zone") :]
            value = int(_text(str(zone / "temp"))) / 1000
            zones["{} {}".format(number, _text(str(zone / "type")))] = value
    return zones


def _governors() -> list[str]:
    files = sorted(Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    return sorted({_text(str(path)) for path in files[:64]})


def _environments(root: Path) -> list[str]:
    found = (root / "environments").glob("*/made-by-snapq") if root.is_dir() else []
    return sorted(path.parent.name for path in found)[:100]


def _text(path: str, limit: int = 4096) -> str:
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            return file.read(limit).strip()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
