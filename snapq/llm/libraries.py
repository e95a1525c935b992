"""The libraries of the extra `llm`, imported when they are first needed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from snapq.errors import InstallError, ModelError, SnapqError
from snapq.llm.program.chat import GENAI_VERSION

__all__ = ["library", "refusals"]

_SHOWN = 200
_USUAL = "gguf safetensors tokenizers"
_PINNED = {"onnxruntime-genai": f"onnxruntime-genai=={GENAI_VERSION}"}


def library(name: str) -> ModuleType:
    """Imports a library of the extra `llm`.

    Raises:
        InstallError: it is not installed, or does not load.
    """
    package = name.partition(".")[0].replace("_", "-")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InstallError(
            f"Language models need the library {package}, which cannot be imported ({error}).",
            hint=f"Run: pip install {_PINNED.get(package, _USUAL)}",
        ) from error


@contextmanager
def refusals(what: str, where: str, hint: str | None = None) -> Iterator[None]:
    """Turns whatever a library raises while it reads a damaged file into a `ModelError`.

    Args:
        what: the sentence, without its end.
        where: the file.
        hint: what to do about it.
    """
    try:
        yield
    except (SnapqError, KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit):
        raise
    except BaseException as error:  # a panic of the library's Rust is no Exception
        lines = (str(error).strip() or type(error).__name__).splitlines()
        reason = lines[0].rstrip(".")[:_SHOWN]
        raise ModelError(f"{what}: {reason}.", where=where, hint=hint) from error
