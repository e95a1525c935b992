"""Opens weights by what they lie in."""

from __future__ import annotations

from pathlib import Path

from snapq.errors import ModelError
from snapq.llm.reading.checkpoint import Checkpoint
from snapq.llm.reading.gguf_file import read_gguf
from snapq.llm.reading.transformers import read_folder
from snapq.storage import storage_errors

__all__ = ["read_checkpoint"]

_GGUF = b"GGUF"


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a decoder from a GGUF file, a folder of Transformers, or a file of safetensors in one.

    Raises:
        ModelError: there is none, it is damaged, or of a kind that is not taken.
        InstallError: a library is missing.
    """
    if path.is_dir():
        files = sorted(path.glob("*.gguf"))
        if files and not (path / "config.json").is_file():
            if len(files) == 1:
                return read_gguf(files[0])
            raise ModelError(
                f"The folder has {len(files)} GGUF files.", where=str(path), hint="Name one."
            )
        return read_folder(path)
    if not path.is_file():
        raise ModelError(
            "There is no such file or folder.", where=str(path), hint="Check the path."
        )
    with storage_errors(path), path.open("rb") as file:
        magic = file.read(len(_GGUF))
    if magic == _GGUF:
        return read_gguf(path)
    if path.suffix == ".safetensors":
        return read_folder(path.parent, path)
    raise ModelError(
        "It is neither a GGUF file nor safetensors.",
        where=str(path),
        hint="Give a GGUF file, or a folder with safetensors, config.json and tokenizer.json.",
    )
