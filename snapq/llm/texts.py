"""Text that a model is measured on: cut into passages, and fed to the float prefill graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from snapq.errors import DataError
from snapq.llm.speaker import Speaker, State, windows
from snapq.llm.tokens import Tokens

__all__ = ["LEAST_TOKENS", "passages", "prefill_feeds", "windows_of"]

Array = npt.NDArray[np.generic]
LEAST_TOKENS = 16
"""Of a text; fewer say nothing."""


def passages(text: str, tokens: Tokens, context: int, limit: int, where: str) -> list[list[int]]:
    """The first tokens of a text, cut into passages that each fit into the context.

    Args:
        text: what the model is measured on.
        tokens: the tokenizer; what it puts in front of a text stands in front of each passage.
        context: positions of a passage.
        limit: of tokens in all.
        where: the file, for messages.

    Raises:
        DataError: the text is too short.
    """
    front = tokens.ids("")
    ids = tokens.ids(text, whole=False)[:limit]
    if len(ids) < LEAST_TOKENS:
        raise DataError(
            f"The text has {len(ids)} tokens; at least {LEAST_TOKENS} are needed.",
            where=where,
            hint="Give a page or two of what the model will read and write.",
        )
    room = context - len(front)
    found = [front + ids[start : start + room] for start in range(0, len(ids), room)]
    return [one for one in found if len(one) > len(front) + 1]


def windows_of(text: Sequence[int], rows: int) -> int:
    """How many windows a passage has."""
    return -(-len(text) // rows)


def prefill_feeds(
    speaker: Speaker,
    texts: Sequence[Sequence[int]],
    rows: int,
    seen: Callable[[Mapping[str, Array], int], None] | None = None,
) -> Iterator[dict[str, Array]]:
    """What the prefill graph is fed for each window of each passage, with the cache before it.

    Args:
        speaker: runs the float graphs, which fill the cache.
        texts: passages.
        rows: of the graph.
        seen: told what the graph gave, and how many of its last rows hold a token.
    """
    for text in texts:
        state: State = speaker.start()
        for part in windows(text, rows):
            feeds, outputs, state = speaker.window(state, part)
            if seen is not None:
                seen(outputs, len(part))
            yield feeds
