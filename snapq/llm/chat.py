"""A question as the text that a model was trained to answer, by its chat template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from snapq.errors import ModelError
from snapq.llm.files import TOKENIZER_CONFIG, Folder
from snapq.llm.libraries import refusals
from snapq.llm.tokens import Tokens

__all__ = ["asked", "chat_template", "questions", "render"]


def chat_template(folder: Path) -> str | None:
    """The template of a folder; None where it has none. Raises `ModelError`."""
    path = folder / TOKENIZER_CONFIG
    if not path.is_file():
        return None
    with refusals("It cannot be read as JSON", str(path)):
        found = json.loads(path.read_text(encoding="utf-8")).get("chat_template")
    return found if isinstance(found, str) else None


def asked(folder: Folder, tokens: Tokens, prompt: str) -> list[int]:
    """The tokens of a question to a model of a folder; of the text alone without a template.

    Raises:
        ModelError: the template cannot be used.
    """
    template = chat_template(folder.path)
    if template is None:
        return tokens.ids(prompt)
    end = folder.facts.ends[0] if folder.facts.ends else None
    special = {"bos_token": tokens.token(folder.facts.beginning), "eos_token": tokens.token(end)}
    where = str(folder.path / TOKENIZER_CONFIG)
    return tokens.ids(render(template, prompt, special, where), whole=False)


def questions(folder: Folder, tokens: Tokens, text: str, most: int) -> list[list[int]]:
    """The first paragraphs of a text, each as a question by the template; none without one.

    What stands first in a conversation has activations that prose alone does not show.

    Args:
        folder: of the pair.
        tokens: its tokenizer.
        text: what calibrates.
        most: so many paragraphs.

    Raises:
        ModelError: the template cannot be used.
    """
    if chat_template(folder.path) is None:
        return []
    parts = [part for part in text.splitlines() if part.strip()][:most]
    return [asked(folder, tokens, part)[: folder.facts.prefill] for part in parts]


def render(template: str, prompt: str, special: dict[str, str], where: str) -> str:
    """Writes one question of a user as a template wants it.

    Args:
        template: Jinja, as Transformers takes it; it runs in a sandbox.
        prompt: what the user says.
        special: texts of the tokens that begin and end.
        where: the file, for messages.

    Raises:
        ModelError: the template is damaged, or refuses the question.
    """
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise ModelError(f"The chat template refuses: {message}.", where=where)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = _json
    environment.globals["raise_exception"] = refuse
    messages = [{"role": "user", "content": prompt}]
    with refusals("The chat template cannot be used", where, "Give the text as it is: --raw."):
        written = environment.from_string(template)
        return written.render(messages=messages, add_generation_prompt=True, **special)


def _json(value: Any, **options: Any) -> str:
    """JSON as Transformers has it in templates: without escapes for HTML."""
    return json.dumps(value, ensure_ascii=False, **options)
