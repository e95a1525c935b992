"""Whether the host that answers is the one we know; unknown and changed keys are refused."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from snapq.boards.transports.ssh_settings import SshSettings
from snapq.errors import HostKeyError

if TYPE_CHECKING:
    import paramiko


def load_known(settings: SshSettings) -> paramiko.HostKeys:
    """The host keys that the user has accepted; files that cannot be read hold none."""
    import paramiko

    known = paramiko.HostKeys()
    for path in settings.known_hosts:
        try:
            known.load(str(path))
        except OSError:
            continue
    return known


def check(settings: SshSettings, known: paramiko.HostKeys, key: paramiko.PKey) -> None:
    """Checks the key that the host showed.

    Raises:
        HostKeyError: the key is unknown, or another one than before.
    """
    entries = dict(known.lookup(settings.host_key_name) or {})
    if any(entries.get(kind) == key for kind in entries):
        return
    raise (_changed if entries else _unknown)(settings, key)


def preferred(
    settings: SshSettings, known: paramiko.HostKeys, kinds: Sequence[str]
) -> tuple[str, ...]:
    """The kinds of host key to ask for: those first by which we know the host."""
    entries = dict(known.lookup(settings.host_key_name) or {})
    ours = set(entries)

    def is_known(kind: str) -> bool:
        return kind in ours or ("ssh-rsa" in ours and kind.startswith("rsa-sha2-"))

    return tuple(sorted(kinds, key=lambda kind: not is_known(kind)))


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
