"""Small decoders as folders, and the graphs that are written of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snapq import api
from snapq.cpu import CpuModel
from snapq.llm.files import DECODE, PREFILL, Folder
from snapq.llm.speaker import Speaker


def speaker(folder: Path) -> Speaker:
    """The float graphs of a folder on the CPU."""
    opened = Folder.open(folder)
    runs = [CpuModel(folder / name).run for name in (PREFILL, DECODE)]
    return Speaker(opened.facts.layout, runs[0], runs[1], opened.facts.prefill)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A small Llama as a folder of Transformers."""
    from tests.llm import reference

    weights = reference.random_weights(reference.SMALL)
    return reference.write_folder(tmp_path / "published", reference.SMALL, weights)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Path], Path]:
    """Writes the graphs of published weights, context 64, 16 tokens at once."""

    def write(weights: Path) -> Path:
        folder = tmp_path / "graphs"
        return api.llm_init(weights, folder, context=64, prefill=16, overwrite=True).path

    return write
