"""Addresses of boards: `ssh://user@host:port`, `adb://SERIAL`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from snapq.errors import ConfigError

_HOST = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9_.:%\[\]-]*")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]*")
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,254}")
_EXAMPLE = "Write ssh://USER@HOST or ssh://USER@HOST:PORT; HOST may be an alias of ~/.ssh/config."


@dataclass(frozen=True)
class SshAddress:
    """Where a board listens, and what proves who it and we are.

    What is None comes from `~/.ssh/config`, else from OpenSSH's defaults.
    """

    kind: ClassVar[str] = "ssh"
    form: ClassVar[str] = "ssh://USER@HOST"
    meaning: ClassVar[str] = "a board"
    transport: ClassVar[str] = "snapq.boards.transports.ssh:SshTransport"
    host: str
    """Name, IP address, or an alias of `~/.ssh/config`."""
    user: str | None = None
    port: int | None = None
    identity: Path | None = None
    """Private key to offer."""
    known_hosts: Path | None = None
    """File with the board's host key, read instead of the user's own known_hosts."""
    configured: bool = True
    """Whether `~/.ssh/config` has a say."""

    @classmethod
    def parse(cls, text: str) -> SshAddress:
        """Reads `ssh://user@host:port`.

        Raises:
            ConfigError: it is not such an address, or it holds a password.
        """
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ConfigError(
                "This is not an address.", where=_shown(text), hint=_EXAMPLE
            ) from error
        if parts.password is not None:
            raise ConfigError(
                "An address must not hold a password: it would appear in logs and reports.",
                where=f"ssh://{parts.username}:…@{host}",
                hint="Use a key (ssh-copy-id), or put the password into $SNAPQ_SSH_PASSWORD.",
            )
        # urlsplit makes the host lower case; aliases of ~/.ssh/config keep theirs.
        start = parts.netloc.lower().rfind(host)
        host = parts.netloc[start : start + len(host)]
        user = parts.username
        extra = parts.path.strip("/") or parts.query or parts.fragment
        if (
            parts.scheme != "ssh"
            or extra
            or not _HOST.fullmatch(host)
            or (user is not None and not _USER.fullmatch(user))
        ):
            raise ConfigError("This is not an SSH address.", where=_shown(text), hint=_EXAMPLE)
        return cls(host, user, port)

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"ssh://{user}{host}{port}"


@dataclass(frozen=True)
class AdbAddress:
    """A device that adb reaches."""

    kind: ClassVar[str] = "adb"
    form: ClassVar[str] = "adb://SERIAL"
    meaning: ClassVar[str] = "a board that adb reaches"
    transport: ClassVar[str] = "snapq.boards.transports.adb:AdbTransport"
    serial: str
    """As `adb devices` lists it, or `HOST:PORT`."""

    @classmethod
    def parse(cls, text: str) -> AdbAddress:
        """Reads `adb://SERIAL`.

        Raises:
            ConfigError: it is not such an address.
        """
        serial = text.removeprefix("adb://").rstrip("/")
        if not _SERIAL.fullmatch(serial):
            raise ConfigError(
                "This is not an address of adb.",
                where=_shown(text),
                hint="Write adb://SERIAL as `adb devices` lists it, or adb://HOST:PORT.",
            )
        return cls(serial)

    def __str__(self) -> str:
        return f"adb://{self.serial}"


Address = SshAddress | AdbAddress
ADDRESSES = (SshAddress, AdbAddress)
"""Every kind: what it is in an address, how it is written, and the class that connects to it."""


def parse(text: str) -> Address:
    """Reads an address of any kind. Raises `ConfigError`."""
    kind, _, _ = text.partition("://")
    return next((one for one in ADDRESSES if one.kind == kind), SshAddress).parse(text)


def _shown(text: str) -> str:
    """An address as it was given, safe to print and without a password."""
    plain = "".join(c if c.isprintable() else "?" for c in text[:200])
    return re.sub(r"(//[^:/@]*):[^@/]*@", r"\1:…@", plain)
