"""Which environment variables hold secrets, and what is written in place of their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Environment", "hide", "is_secret", "literal"]

_SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|KEY", re.IGNORECASE)
_LEAST = 4
"""Characters of a value that is looked for inside other text; shorter ones stand everywhere."""


def is_secret(name: str) -> bool:
    """Whether a variable is called after something that is not to be shown."""
    return _SECRET.search(name) is not None


class Environment(Mapping[str, str]):
    """Variables of the environment that remembers which secret ones were asked for.

    Attributes:
        secrets: values by name.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.secrets: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        value = self._variables[name]
        if value and is_secret(name):
            self.secrets[name] = value
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def hide(value: Any, secrets: Mapping[str, str]) -> Any:
    """JSON values in whose texts `${NAME}` stands for the value of a secret.

    A secret of fewer than four characters is found where it is the whole text only.
    """
    if isinstance(value, str):
        for name, secret in sorted(secrets.items(), key=lambda item: -len(item[1])):
            if len(secret) >= _LEAST or value == secret:
                value = value.replace(secret, f"${{{name}}}")
        return value
    if isinstance(value, dict):
        return {hide(key, secrets): hide(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hide(inner, secrets) for inner in value]
    return value


def literal(value: Any) -> Any:
    """JSON values as deploy.yaml spells them: a `$` that begins no variable is `$$`."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {literal(key): literal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [literal(inner) for inner in value]
    return value
