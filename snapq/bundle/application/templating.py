"""The templates of what a bundle has for applications, and what they may call."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import jinja2

from snapq.bundle.application.identifiers import (
    c_comment,
    c_float,
    c_int,
    c_text,
    markdown_cell,
    quoted,
)

__all__ = ["render"]


def render(template: str, **values: Any) -> str:
    """Fills in a template of `templates/`; a value that it names and is not given is an error."""
    text = _environment().get_template(f"{template}.jinja").render(**values)
    return text.rstrip() + "\n"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("snapq.bundle.application"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # nothing of it is HTML; each language has its own filter
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "c_comment": c_comment,
        "c_float": c_float,
        "c_int": c_int,
        "cell": markdown_cell,
        "c_text": c_text,
        "csharp": partial(quoted, language="csharp"),
        "kotlin": partial(quoted, language="kotlin"),
        "python": partial(quoted, language="python"),
    }
    return environment
