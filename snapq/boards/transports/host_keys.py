"""Whether a host is the one we know: unknown, changed and revoked keys are refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from snapq.boards.transports.ssh_settings import SshSettings
from snapq.errors import HostKeyError

if TYPE_CHECKING:
    import paramiko


_ENTRY = re.compile(r"(?:(@[\w-]+)\s+)?(\S+)\s+(\S+)\s+(\S+)")
"""A line of known_hosts: marker, names of hosts, kind of key, the key in base64."""


@dataclass(frozen=True)
class KnownKeys:
    """What known_hosts says of one host."""

    accepted: tuple[paramiko.PKey, ...]
    revoked: tuple[paramiko.PKey, ...]


def load_known(settings: SshSettings) -> KnownKeys:
    """The keys that the user has accepted or revoked for the host.

    Like `ssh`, it passes over files that cannot be read and lines that make no sense. Certificate
    authorities are passed over too, as host certificates are not understood here.

    Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
    """
    found: dict[str | None, list[paramiko.PKey]] = {None: [], "@revoked": []}
    for path in settings.known_hosts:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):  # ValueError: a NUL in its name
            continue
        for line in text.splitlines():
            entry = _ENTRY.match(line.strip())
            if entry is None or entry[1] not in found:
                continue
            if _names(entry[2], settings.host_key_name):
                found[entry[1]] += _keys(entry[3], entry[4])
    return KnownKeys(tuple(found[None]), tuple(found["@revoked"]))


def check(settings: SshSettings, known: KnownKeys, key: paramiko.PKey) -> None:
    """Checks the key that the host showed.

    Raises:
        HostKeyError: the key is unknown, revoked, or another one than before.
    """
    if key in known.revoked:
        raise _revoked(settings, key)
    if key not in known.accepted:
        raise (_changed if known.accepted else _unknown)(settings, key)


def preferred(known: KnownKeys, kinds: Sequence[str]) -> tuple[str, ...]:
    """The kinds of host key to ask for: those first by which we know the host."""
    ours = {key.get_name() for key in known.accepted}

    def is_known(kind: str) -> bool:
        return kind in ours or ("ssh-rsa" in ours and kind.startswith("rsa-sha2-"))

    return tuple(sorted(kinds, key=lambda kind: not is_known(kind)))


def _names(patterns: str, host: str) -> bool:
    """Whether the names of a line, hashed or with wildcards, are the host's."""
    if patterns.startswith("|"):
        return _hashed(patterns, host)
    # `[` stands for itself there: it begins a host with a port.
    found = {
        pattern.startswith("!")
        for pattern in patterns.lower().split(",")
        if fnmatchcase(host.lower(), pattern.lstrip("!").replace("[", "[[]"))
    }
    return found == {False}


def _hashed(text: str, host: str) -> bool:
    """Whether `|1|SALT|HASH` is this host's."""
    try:
        _, version, salt, digest = text.split("|")
        wanted = hmac.digest(base64.b64decode(salt), host.encode(), "sha1")
        return version == "1" and wanted == base64.b64decode(digest)
    except ValueError:
        return False


def _keys(kind: str, data: str) -> list[paramiko.PKey]:
    """The key of a line; none where it is damaged or of a kind that is not known here."""
    import paramiko

    try:
        return [paramiko.PKey.from_type_string(kind, base64.b64decode(data, validate=True))]
    except Exception:  # damaged bytes make its parsers raise whatever they come upon
        return []


def fingerprint(key: paramiko.PKey) -> str:
    """The key's fingerprint as `ssh-keygen -l` shows it."""
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


def _unknown(settings: SshSettings, key: paramiko.PKey) -> HostKeyError:
    return HostKeyError(
        f"The host is not known. It showed the {key.get_name()} key {fingerprint(key)}.",
        where=settings.shown,
        hint="Compare this with the board's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub, "
        f"typed on the board), then accept it: {_accept(settings, key)}",
    )


def _revoked(settings: SshSettings, key: paramiko.PKey) -> HostKeyError:
    return HostKeyError(
        f"The host showed the {key.get_name()} key {fingerprint(key)}, which you have revoked.",
        where=settings.shown,
        hint="Give the board a new host key; known_hosts has this one marked @revoked.",
    )


def _changed(settings: SshSettings, key: paramiko.PKey) -> HostKeyError:
    forget = shlex.join(
        ["ssh-keygen", "-R", settings.host_key_name, "-f", str(settings.known_hosts[0])]
    )
    return HostKeyError(
        "The host key has CHANGED: somebody may be listening in, or the board was installed anew. "
        f"It showed the {key.get_name()} key {fingerprint(key)}.",
        where=settings.shown,
        hint=f"Only where you know why it changed: {forget} && {_accept(settings, key)}",
    )


def _accept(settings: SshSettings, key: paramiko.PKey) -> str:
    """The shell command that puts just this key into known_hosts."""
    line = f"{settings.host_key_name} {key.get_name()} {key.get_base64()}"
    return f"echo {shlex.quote(line)} >> {shlex.quote(str(settings.known_hosts[0]))}"
