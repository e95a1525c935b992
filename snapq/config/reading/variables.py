"""Environment variables in values: `$NAME`, `${NAME}`, `${NAME:-default}`; `$$` is a dollar."""

from __future__ import annotations

import re
from collections.abc import Mapping

from snapq.errors import ConfigError

_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)"
    r"|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}"
    r"|(?P<wrong>))"
)


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replaces each variable by its value, once: values are not expanded again.

    Raises:
        ConfigError: a variable is not set and has no default, or a dollar begins no variable.
    """

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        if match["wrong"] is not None:
            raise ConfigError(
                f"The `$` in `{text}` begins no variable.",
                hint="Write ${NAME} for an environment variable, or $$ for a dollar sign.",
            )
        name = match["bare"] or match["braced"]
        default: str | None = match["default"]
        found = environment.get(name)
        if default is not None:
            return found or default.removeprefix(":-")
        if found is None:
            raise ConfigError(
                f"The environment variable {name} is not set.",
                hint=f"Set it, or give a default: ${{{name}:-default}}.",
            )
        return found

    return _VARIABLE.sub(value, text)
