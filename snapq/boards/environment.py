"""The private environment of a board: wheels that the host fetches, in a folder of snapq's own.

Nothing is installed system-wide and the board needs no network. Where the board's own Python has
the wanted onnxruntime already, that is used.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from snapq.boards.inventory import Board
from snapq.boards.session.probe import BoardFacts, whole_number
from snapq.boards.session.program import ROOT, ask
from snapq.boards.session.push import PushedFile, push
from snapq.boards.transports.base import Transport
from snapq.boards.transports.lines import readable
from snapq.errors import DeviceError, InstallError
from snapq.home import cache_path
from snapq.progress import Progress
from snapq.storage import atomic_folder, sha256_file

_OLDEST_PYTHON = (3, 9)
_LIBRARIES = ("numpy", "onnxruntime")
_NPU_LIBRARY = "onnxruntime-qnn"
_NPU_MACHINE = "aarch64"
_UNPACKED = 4
"""Wheels unpack to about three times their size, beside the wheels themselves."""
_DOWNLOAD_TIMEOUT_S = 1800


@dataclass(frozen=True)
class Environment:
    """Where the agent finds its libraries."""

    path: str | None
    """Folder on the board; None where the board's own Python has them."""
    sent_bytes: int = 0
    new: bool = False


def required(facts: BoardFacts) -> dict[str, str]:
    """Libraries that the board needs, with the versions that this host has.

    On other machines than aarch64 there is no NPU, so none of its libraries.
    """
    wanted = {name: metadata.version(name) for name in _LIBRARIES}
    if facts.system.machine == _NPU_MACHINE:
        wanted[_NPU_LIBRARY] = metadata.version(_NPU_LIBRARY)
    return wanted


def environment_id(facts: BoardFacts) -> str:
    """Names the environment after what is in it and what it is for."""
    version = ".".join(facts.python.version.split(".")[:2])
    text = f"{sorted(required(facts).items())} {version} {facts.system.machine}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def find(facts: BoardFacts) -> Environment | None:
    """The environment that is there already; None where there is none."""
    own = facts.python.distributions
    wanted = required(facts)
    if "numpy" in own and all(own.get(k) == v for k, v in wanted.items() if k != "numpy"):
        return Environment(None)
    name = environment_id(facts)
    if name in facts.environments:
        return Environment(f"{facts.disk.root}/environments/{name}")
    return None


def set_up(
    transport: Transport, board: Board, facts: BoardFacts, progress: Progress
) -> Environment:
    """Sees to it that the agent finds its libraries, whatever that takes.

    Raises:
        InstallError: the board's Python is too old, or no wheels exist for it.
        DeviceError: the disk of the board is full or cannot be written.
        ConnectionLostError: the connection broke; the next set-up resumes there.
    """
    found = find(facts)
    if found is not None:
        return found
    check_python(facts, transport.address)
    wheels = _wheels(facts, progress)
    files = [
        PushedFile(path.name, path, sha256_file(path), path.stat().st_size)
        for path in sorted(wheels.glob("*.whl"))
    ]
    needed = _UNPACKED * sum(file.size for file in files)
    if needed > facts.disk.free:
        raise DeviceError(
            f"The board has {facts.disk.free / 1e6:,.0f} MB free, and the libraries need "
            f"{needed / 1e6:,.0f} MB.",
            where=f"{transport.address}:{facts.disk.root}",
            hint="Free some disk space there.",
        )
    pushed = push(transport, files, progress, python=board.setup.python)
    with progress.track("Unpack the libraries on the board"):
        answer = ask(
            transport,
            "store",
            {
                "action": "install",
                "root": ROOT,
                "folder": pushed.folder_id,
                "environment": environment_id(facts),
                "digests": [file.sha256 for file in files],
            },
            python=board.setup.python,
            timeout_s=1200,
        )
    folder = answer.get("environment")
    if not isinstance(folder, str):
        raise DeviceError("The board did not say where its libraries are.", where=transport.address)
    return Environment(folder, pushed.sent_bytes, new=True)


def check_python(facts: BoardFacts, address: str) -> None:
    """Refuses a Python that is too old for the agent. Raises `InstallError`."""
    if facts.python.numbers < _OLDEST_PYTHON:
        raise InstallError(
            f"The board has Python {facts.python.version}.",
            where=address,
            hint="Install Python 3.9 or later there (3.11 for the newest onnxruntime), or name "
            "another in boards.yaml: setup: {python: /path/to/python3}.",
        )


def _wheels(facts: BoardFacts, progress: Progress) -> Path:
    """Folder with the wheels for the board, fetched once."""
    folder = cache_path() / "wheels" / environment_id(facts)
    if folder.is_dir():
        with suppress(OSError):  # what was used last goes last
            os.utime(folder)
    else:
        with progress.track("Fetch libraries for the board"), atomic_folder(folder) as building:
            _download(facts, building)
    return folder


def _download(facts: BoardFacts, folder: Path) -> None:
    version = ".".join(facts.python.version.split(".")[:2])
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    words += ["--only-binary=:all:", "--python-version", version, "--implementation", "cp"]
    for platform in _platforms(facts):
        words += ["--platform", platform]
    words += ["--dest", str(folder)]
    for name, wanted in required(facts).items():
        # numpy's newest may not exist for the board's Python; any will do.
        words.append(name if name == "numpy" else f"{name}=={wanted}")
    try:
        done = subprocess.run(words, capture_output=True, timeout=_DOWNLOAD_TIMEOUT_S, check=False)
        failure = readable(done.stderr) if done.returncode else None
    except subprocess.TimeoutExpired:
        failure = "it took too long"
    if failure is not None:
        raise InstallError(
            f"The libraries for the board cannot be fetched: {failure}.",
            where=f"Python {version} on {facts.system.machine}",
            hint="Check this machine's network, and that onnxruntime "
            f"{required(facts)['onnxruntime']} exists for that Python (pip download).",
        )


def _platforms(facts: BoardFacts) -> list[str]:
    """Tags of wheels that run on the board, by the age of its C library."""
    machine = facts.system.machine
    name, version = (*facts.system.libc, "", "")[:2]
    major, _, minor = version.partition(".")
    newest = whole_number(minor) if name == "glibc" and major == "2" else None
    tags = [f"manylinux_2_{number}_{machine}" for number in range(min(newest or 28, 60), 16, -1)]
    return [*tags, f"manylinux2014_{machine}"]
