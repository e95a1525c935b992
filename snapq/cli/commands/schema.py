"""`snapq schema` prints the JSON Schema of deploy.yaml."""

from __future__ import annotations

from snapq.cli.options import Json
from snapq.cli.output.json import emit


def schema(json: Json = False) -> None:  # noqa: ARG001  # JSON is all it prints
    """Print the JSON Schema of deploy.yaml, for editors.

    Example: snapq schema > deploy.schema.json
    """
    from snapq.config.reading import json_schema

    emit(json_schema())
