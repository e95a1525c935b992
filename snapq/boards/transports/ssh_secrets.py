"""What we can log in with: keys from files and from the agent, then passphrases and passwords.

Secrets come from a prompt or from an environment variable, and are never written anywhere.
"""

from __future__ import annotations

import base64
import contextlib
import getpass
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko

from snapq.boards.transports.ssh_settings import SshSettings
from snapq.home import expanded_or_none

PASSWORD_VARIABLE = "SNAPQ_SSH_PASSWORD"
PASSPHRASE_VARIABLE = "SNAPQ_SSH_PASSPHRASE"
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_KINDS: tuple[type[paramiko.PKey], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


@dataclass(frozen=True)
class Login:
    """One way to try."""

    shown: str
    """What it is, for messages: `key ~/.ssh/id_ed25519`, `password`."""
    attempt: Callable[[paramiko.Transport, str], object]
    """Tries to log a user in; raises paramiko's exceptions where that fails."""


def logins(settings: SshSettings) -> Iterator[Login]:
    """Every way to log in, those that ask the user last."""
    files = [*settings.identities]
    if not settings.only_identities:
        folder = expanded_or_none("~/.ssh")
        files += [folder / name for name in _DEFAULT_KEYS] if folder else []
    locked = []
    offered = set()
    for path in dict.fromkeys(files):
        try:
            key = _read(path, None)
        except paramiko.PasswordRequiredException:
            locked.append(path)
            continue
        if key is not None:
            offered.add(key.asbytes())
            yield _with_key(f"key {path}", key)
    wanted = {public for path in files if (public := _public(path))}
    for agent_key in _agent_keys():
        held = agent_key.asbytes()
        if held not in offered and (held in wanted or not settings.only_identities):
            yield _with_key(f"agent key {agent_key.get_name()}", agent_key)
    for path in locked:
        secret = _secret(PASSPHRASE_VARIABLE, f"Passphrase of {path}: ")
        with contextlib.suppress(paramiko.SSHException):  # a wrong passphrase
            key = _read(path, secret) if secret else None
            if key is not None:
                yield _with_key(f"key {path}", key)
    password = _secret(PASSWORD_VARIABLE, f"Password of {settings.user} at {settings.shown}: ")
    if password:
        yield Login("password", lambda transport, user: transport.auth_password(user, password))


def _with_key(shown: str, key: paramiko.PKey) -> Login:
    return Login(shown, lambda transport, user: transport.auth_publickey(user, key))


def _read(path: Path, passphrase: str | None) -> paramiko.PKey | None:
    """Reads a private key; None where there is none that we can use."""
    if not path.is_file():
        return None
    for kind in _KINDS:
        try:
            return kind.from_private_key_file(str(path), passphrase)
        except paramiko.PasswordRequiredException:
            raise
        except (paramiko.SSHException, OSError, ValueError):
            continue  # another kind of key, or not readable
    return None


def _public(path: Path) -> bytes | None:
    """The public half beside a private key, by which the agent's key is recognized."""
    try:
        _, text, *_ = path.with_name(f"{path.name}.pub").read_text(encoding="utf-8").split()
        return base64.b64decode(text)
    except (OSError, ValueError):
        return None


def _agent_keys() -> tuple[paramiko.AgentKey, ...]:
    try:
        return paramiko.Agent().get_keys()
    except (paramiko.SSHException, OSError):
        return ()


def _secret(variable: str, prompt: str) -> str | None:
    """A secret from the environment, else from the user where one sits at a terminal."""
    given = os.environ.get(variable)
    if given is not None:
        return given
    return getpass.getpass(prompt) if sys.stdin is not None and sys.stdin.isatty() else None
