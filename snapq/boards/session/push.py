"""Sends files to a board: only those that are not there, and resumed where a transfer broke off.

A file is known by its SHA-256. It arrives under a temporary name, is hashed on the board, and only
then gets its place. Nothing is sent before the free disk space has been looked at.
"""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snapq.boards.session.program import ROOT, ask
from snapq.boards.transports.base import Transport
from snapq.boards.user import user_name
from snapq.errors import DeviceError
from snapq.progress import Progress

_SPARE_BYTES = 16 << 20
"""What must stay free on the board for logs and results."""


@dataclass(frozen=True)
class PushedFile:
    """One file: where it goes inside its folder, and what is in it."""

    path: str
    source: Path | bytes
    sha256: str
    size: int

    @classmethod
    def of(cls, path: str, data: bytes) -> PushedFile:
        """A file of these bytes."""
        return cls(path, data, hashlib.sha256(data).hexdigest(), len(data))


@dataclass(frozen=True)
class Pushed:
    """What a push did."""

    folder: str
    """Absolute path of the folder on the board."""
    sent_bytes: int
    """Bytes of files that went over the connection."""
    folder_id: str


def push(
    transport: Transport,
    files: Sequence[PushedFile],
    progress: Progress,
    *,
    python: str = "python3",
) -> Pushed:
    """Sees to it that the board has a folder with these files.

    Raises:
        DeviceError: the disk of the board is full or cannot be written, or bytes arrive damaged
            twice.
        ConnectionLostError: the connection broke; the next push resumes there.
        InstallError: there is no Python on the board.
        StorageError: a file cannot be read.
    """
    content = json.dumps({file.path: file.sha256 for file in files}, sort_keys=True)
    folder = hashlib.sha256(content.encode()).hexdigest()[:32]  # named after what is in it
    sent, token = 0, _token()
    for _ in range(2):
        sent += _send(transport, files, token, progress, python)
        answer = ask(
            transport,
            "store",
            {
                "action": "commit",
                "root": ROOT,
                "token": token,
                "folder": folder,
                "files": [[file.sha256, file.size] for file in files],
                "links": [[file.path, file.sha256] for file in files],
            },
            python=python,
            timeout_s=600,
        )
        place = answer.get("folder")
        if not answer.get("bad") and isinstance(place, str) and place.startswith("/"):
            return Pushed(place, sent, folder)
        token = secrets.token_hex(8)  # somebody else may be writing the same names
    raise DeviceError(
        "Bytes arrive damaged on the board, twice.",
        where=transport.address,
        hint="Check the board's disk and memory.",
    )


def _send(
    transport: Transport, files: Sequence[PushedFile], token: str, progress: Progress, python: str
) -> int:
    """Sends what is missing; returns the number of bytes."""
    sources = {file.sha256: file for file in files}
    answer = ask(
        transport,
        "store",
        {
            "action": "plan",
            "root": ROOT,
            "token": token,
            "files": [[digest, file.size] for digest, file in sources.items()],
        },
        python=python,
    )
    missing = _missing(answer, sources, transport.address)
    total = sum(sources[digest].size - have for digest, (have, _) in missing.items())
    if not missing:
        return 0
    free = answer.get("free")
    if not isinstance(free, int) or total + _SPARE_BYTES > free:
        raise DeviceError(
            f"The board has {_mb(free)} free and the push needs {_mb(total + _SPARE_BYTES)}.",
            where=f"{transport.address}:{ROOT}",
            hint="Free some disk space there; `snapq board clean` removes all that snapq put on "
            "the board.",
        )
    with progress.track(f"Push to {transport.address}", total) as advance:
        for digest, (have, part) in missing.items():
            transport.put(sources[digest].source, part, offset=have, sent=advance)
    return total


def _missing(
    answer: Mapping[str, object], sources: Mapping[str, PushedFile], address: str
) -> dict[str, tuple[int, str]]:
    """Digest to bytes that are there and path of the part, as the board says, checked."""
    found: dict[str, tuple[int, str]] = {}
    rows = answer.get("missing")
    for row in rows if isinstance(rows, list) else [None]:
        match row:
            case [str(digest), int(have), str(part)] if digest in sources and (
                0 <= have <= sources[digest].size and part.startswith("/")
            ):
                found[digest] = (have, part)
            case _:
                raise DeviceError("The board gave an answer that makes no sense.", where=address)
    return found


def _token() -> str:
    """Names this host and user, so that two that push the same file do not mix their bytes."""
    text = f"{platform.node()} {user_name()}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _mb(size: object) -> str:
    return f"{size / 1e6:,.0f} MB" if isinstance(size, int) else "an unknown amount"
