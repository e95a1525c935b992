"""Runs a pair of graphs as an application does: a prompt in windows, then token by token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snapq.errors import DataError
from snapq.llm.cache import ATTENTION_MASK, INPUT_IDS, LOGITS, POSITION_IDS, CacheLayout

__all__ = ["Runner", "Speaker", "State", "windows"]

Array = npt.NDArray[np.generic]
Runner = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""A graph: what it is fed, by name, to what it gives."""


@dataclass(frozen=True)
class State:
    """What was said so far.

    Attributes:
        cache: keys and values of the whole context.
        length: tokens in it.
    """

    cache: Mapping[str, Array]
    length: int


def windows(ids: Sequence[int], rows: int) -> Iterator[Sequence[int]]:
    """A prompt in parts of at most `rows` tokens, all but the first whole.

    Rows that hold no token can only stand in front, where nothing was said yet.
    """
    first = len(ids) % rows or rows
    yield ids[:first]
    for start in range(first, len(ids), rows):
        yield ids[start : start + rows]


class Speaker:
    """A pair of graphs and how they are run.

    Args:
        layout: of the cache.
        prefill: runs the first graph.
        decode: runs the second.
        rows: tokens that the first takes at once.
        zeros: where the cache is integers, which of them is 0, by name of the input.
    """

    def __init__(
        self,
        layout: CacheLayout,
        prefill: Runner,
        decode: Runner,
        rows: int,
        zeros: Mapping[str, int] | None = None,
    ) -> None:
        self._layout, self._prefill, self._decode = layout, prefill, decode
        self._rows, self._zeros = rows, zeros

    def start(self) -> State:
        """Nothing said."""
        return State(self._layout.empty(self._zeros), 0)

    def feeds(self, state: State, ids: Sequence[int], rows: int) -> dict[str, Array]:
        """What a graph of so many rows is fed for the next tokens, which stand at its end."""
        count = len(ids)
        if state.length + count > self._layout.context:
            raise DataError(
                f"{state.length + count} tokens are more than the context of "
                f"{self._layout.context}.",
                hint="Give a shorter text, or write the graphs with a larger --context.",
            )
        tokens = np.zeros((1, rows), np.int32)
        tokens[0, rows - count :] = ids
        positions = np.zeros((1, rows), np.int32)
        positions[0, rows - count :] = np.arange(state.length, state.length + count)
        mask = np.zeros((1, self._layout.context), np.int32)
        mask[0, self._layout.context - state.length - count :] = 1
        held = self._layout.read(state.cache, rows)
        return {INPUT_IDS: tokens, POSITION_IDS: positions, ATTENTION_MASK: mask, **held}

    def listen(self, state: State, ids: Sequence[int]) -> tuple[Array, State]:
        """Reads a prompt; gives the logits `[vocabulary]` behind it and the new state.

        Raises:
            DataError: it has no tokens, or more than the context has left.
        """
        logits: Array | None = None
        for part in windows(ids, self._rows):
            # A window that is not whole would leave a gap in front of itself.
            rows = self._rows if len(part) == self._rows or state.length == 0 else 1
            for start in range(0, len(part), rows):
                logits, state = self._step(state, part[start : start + rows], rows)
        if logits is None:
            raise DataError("The text has no tokens.", hint="Give a longer one.")
        return logits, state

    def window(
        self, state: State, ids: Sequence[int]
    ) -> tuple[dict[str, Array], Mapping[str, Array], State]:
        """Runs the first graph once: what it was fed, what it gave, and the new state."""
        feeds = self.feeds(state, ids, self._rows)
        outputs = self._prefill(feeds)
        cache = self._layout.extended(state.cache, outputs, len(ids))
        return feeds, outputs, State(cache, state.length + len(ids))

    def say(self, state: State, token: int) -> tuple[Array, State]:
        """Goes on by one token; gives the logits behind it and the new state."""
        return self._step(state, [token], 1)

    def continued(self, ids: Sequence[int], count: int, ends: Sequence[int] = ()) -> list[int]:
        """The likeliest tokens behind a prompt, one after the other, up to one of `ends`."""
        logits, state = self.listen(self.start(), ids)
        said: list[int] = []
        while len(said) < count:
            token = int(np.argmax(logits))
            if token in ends:
                break
            said.append(token)
            if len(said) == count or state.length == self._layout.context:
                break
            logits, state = self.say(state, token)
        return said

    def _step(self, state: State, ids: Sequence[int], rows: int) -> tuple[Array, State]:
        run = self._decode if rows == 1 else self._prefill
        outputs = run(self.feeds(state, ids, rows))
        cache = self._layout.extended(state.cache, outputs, len(ids))
        return outputs[LOGITS].reshape(-1), State(cache, state.length + len(ids))
