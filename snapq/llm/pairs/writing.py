"""Writes a pair that was taken apart as the pair that the rest of the road takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from snapq.errors import ModelError
from snapq.graph import foreign
from snapq.llm.evidence import on_cpu
from snapq.llm.files import Facts, Folder
from snapq.llm.pairs.proof import check_equal
from snapq.llm.pairs.taken import TakenPair
from snapq.llm.reading.checkpoint import Checkpoint, Vocabulary
from snapq.llm.write import write_pair

__all__ = ["WrittenPair", "write_taken"]


@dataclass(frozen=True)
class WrittenPair:
    """A pair that was written of another.

    Attributes:
        facts: what it is.
        difference: the largest of a logit between the two, by the largest logit.
    """

    facts: Facts
    difference: float


def write_taken(
    pair: TakenPair,
    vocabulary: Vocabulary,
    folder: Path,
    told: Callable[[str], None] = lambda _: None,
) -> WrittenPair:
    """Writes the graphs in the form that is fast on the NPU, and proves that they say the same.

    Args:
        pair: as given.
        vocabulary: its tokens.
        folder: to write; replaced as a whole.
        told: what is being done.

    Raises:
        ModelError: the graphs given compute something else than such a decoder.
        StorageError: the folder cannot be written.
    """
    told("writing the pair in the form that is fast on the NPU")
    where = pair.prefill.path
    checkpoint = Checkpoint(where, pair.decoder, pair.weights, vocabulary)
    facts = write_pair(checkpoint, pair.weights, pair.sizes, folder)
    beyond = [token for token in (facts.beginning, *facts.ends) if (token or 0) >= facts.vocabulary]
    if beyond:
        raise ModelError(
            f"The token {beyond[0]} begins or ends a text, and the model knows {facts.vocabulary}.",
            where=str(where),
            hint="Check that the tokenizer belongs to the model.",
        )
    told("comparing its logits with those of the graphs as given")
    with foreign.explaining(where):
        return WrittenPair(facts, check_equal(pair, on_cpu(Folder.open(folder))))
