"""Debian packages for another architecture, fetched by this machine's apt into folders of ours.

apt checks Debian's signatures as always; nothing of the machine's own package lists, caches or
configuration of architectures is read or written, and no root is needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from snapq.boards.emulator import tools
from snapq.boards.emulator.recipe import ARCHITECTURE
from snapq.errors import InstallError
from snapq.storage import storage_errors

MIRROR_VARIABLE = "SNAPQ_DEBIAN_MIRROR"
_MIRROR = "http://deb.debian.org/debian"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCES = Path("/etc/apt")
_MEND = (
    "Check that the Debian mirror can be reached (apt-get update), "
    f"or name another one in {MIRROR_VARIABLE}."
)


class Apt:
    """apt-get with lists, cache and sources in `folder`."""

    def __init__(self, folder: Path, release: str) -> None:
        if not _KEYRING.is_file():
            raise InstallError(
                "Debian's keys are missing; without them no package can be trusted.",
                where=str(_KEYRING),
                hint="Debian and Ubuntu: sudo apt install debian-archive-keyring",
            )
        self._folder = folder
        with storage_errors(folder):
            for name in ("state/lists/partial", "cache/archives/partial"):
                (folder / name).mkdir(parents=True)
            (folder / "state" / "status").touch()
            (folder / "sources.list").write_text(
                "".join(
                    f"deb [arch={ARCHITECTURE} signed-by={_KEYRING}] {mirror()} {suite} main\n"
                    for suite in (release, f"{release}-backports")
                )
            )

    def update(self) -> None:
        """Fetches the package lists. Raises `InstallError`, `StorageError`."""
        # apt-get update ends with 0 and a warning where a mirror is out of reach.
        self._run("apt-get", "update", "-qq", "--error-on=any", doing="fetching Debian's lists")

    def fetch(self, packages: Sequence[str]) -> list[Path]:
        """Downloads packages and all that they need. Raises `InstallError`, `StorageError`."""
        self._run(
            "apt-get", "install", "-qq", "-y", "--download-only", *packages, doing="fetching Debian"
        )
        return sorted((self._folder / "cache" / "archives").glob("*.deb"))

    def fetch_kernel(self, meta: str, folder: Path) -> Path:
        """Downloads the kernel that a meta package stands for, and none of the tools to boot it."""
        shown = self._run("apt-cache", "show", "--no-all-versions", meta, doing="looking up Linux")
        found = re.search(r"^Depends:.*?\b(linux-image-[\w.+-]+)", shown, re.MULTILINE)
        if found is None:
            raise InstallError(f"{meta} names no kernel.", where=mirror(), hint=_MEND)
        folder.mkdir(parents=True)
        # `download` writes into the current folder and has no option for another one.
        command = ('cd "$1" && shift && exec "$@"', "sh", folder)
        self._run("apt-get", "download", "-qq", found[1], doing="fetching Linux", inside=command)
        return next(folder.glob("*.deb"))

    def _run(self, program: str, *words: str, doing: str, inside: Sequence[str | Path] = ()) -> str:
        shell = ("sh", "-c", *inside) if inside else ()
        return tools.run(
            (*shell, program, *self._options(), *words), doing=f"{doing} ({mirror()})", hint=_MEND
        )

    def _options(self) -> list[str]:
        folder = self._folder
        values = {
            "APT::Architecture": ARCHITECTURE,
            "APT::Architectures": ARCHITECTURE,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Debug::NoLocking": "true",
            "Dir::Cache": str(folder / "cache"),
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::Etc::sourcelist": str(folder / "sources.list"),
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": str(folder / "state"),
            "Dir::State::status": str(folder / "state" / "status"),
        }
        return [word for key, value in values.items() for word in ("-o", f"{key}={value}")]


def mirror() -> str:
    """The Debian mirror: the user's choice, else this machine's own, else Debian's."""
    chosen = os.environ.get(MIRROR_VARIABLE)
    if chosen:
        return chosen.rstrip("/")
    files = [_SOURCES / "sources.list", *sorted((_SOURCES / "sources.list.d").glob("*"))]
    for path in files:
        if path.suffix in (".list", ".sources") and path.is_file():
            text = re.sub(r"#.*", "", path.read_text(encoding="utf-8", errors="replace"))
            found = re.search(r"\bhttps?://\S+/debian(?=/?\s)", text)
            if found:
                return found[0]
    return _MIRROR


def extract(package: Path, folder: Path) -> None:
    """Unpacks the files of a package without running anything of it."""
    tools.run(("dpkg-deb", "-x", package, folder), doing=f"unpacking {package.name}", hint=_MEND)
