"""`snapq schema` prints the JSON Schema of deploy.yaml."""

from __future__ import annotations

from typing import Annotated

import typer

from snapq.cli.options import Json
from snapq.cli.output.json import emit


def schema(
    language_model: Annotated[
        bool,
        typer.Option("--language-model", help="Of a language model: `model: {prefill, decode}`."),
    ] = False,
    json: Json = False,  # noqa: ARG001  # JSON is all it prints
) -> None:
    """Print the JSON Schema of deploy.yaml, for editors.

    Example: snapq schema > deploy.schema.json
    """
    from snapq.config import DeployConfig, LanguageDeployConfig
    from snapq.config.reading import json_schema

    emit(json_schema(LanguageDeployConfig if language_model else DeployConfig))
