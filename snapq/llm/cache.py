"""The cache of keys and values, as onnxruntime-genai's sliding pipelines lay it out.

A graph that takes `rows` tokens at once reads the `context - rows` positions before them, and gives
the new ones; whoever runs it puts these behind the others and drops as many in front. So the newest
position is always the last. Keys lie as `[kv_heads, 1, head_size, positions]`, ready to be
multiplied by, values as `[kv_heads, 1, positions, head_size]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ATTENTION_MASK", "INPUT_IDS", "LOGITS", "POSITION_IDS", "CacheLayout"]

Array = npt.NDArray[np.generic]
INPUT_IDS = "input_ids"
"""int32 `[1, rows]`: the tokens, right-aligned."""
POSITION_IDS = "position_ids"
"""int32 `[1, rows]`: the position of each."""
ATTENTION_MASK = "attention_mask"
"""int32 `[1, context]`: 1 where cache and new rows hold a token, else 0."""
LOGITS = "logits"
"""float32 `[1, 1, vocabulary]`: of the token behind the last."""


@dataclass(frozen=True)
class CacheLayout:
    """Names and shapes of what a graph reads and gives of the cache.

    Attributes:
        layers: number of layers.
        kv_heads: heads of keys and values.
        head_size: width of a head.
        context: positions that attention sees, the new rows among them.
    """

    layers: int
    kv_heads: int
    head_size: int
    context: int

    def inputs(self, rows: int) -> dict[str, tuple[int, ...]]:
        """Shape of each input of the cache, keys before values, layer by layer."""
        return self._shapes("past", self.context - rows)

    def outputs(self, rows: int) -> dict[str, tuple[int, ...]]:
        """Shape of each output of the cache, in the order of the inputs."""
        return self._shapes("present", rows)

    def _shapes(self, when: str, positions: int) -> dict[str, tuple[int, ...]]:
        heads, size = self.kv_heads, self.head_size
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(self.layers):
            shapes[f"{when}_key_{layer}"] = (heads, 1, size, positions)
            shapes[f"{when}_value_{layer}"] = (heads, 1, positions, size)
        return shapes

    def axis(self, name: str) -> int:
        """The axis of the positions in a tensor of the cache."""
        return 3 if "_key_" in name else 2

    def empty(self, fill: Mapping[str, int] | None = None) -> dict[str, Array]:
        """A cache of the whole context that holds nothing, by the names of the inputs.

        Args:
            fill: where the cache is integers, which of them is 0; float32 where not given.
        """
        shapes = self._shapes("past", self.context)
        if fill is None:
            return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        return {name: np.full(shape, fill[name], np.uint8) for name, shape in shapes.items()}

    def read(self, cache: Mapping[str, Array], rows: int) -> dict[str, Array]:
        """What a graph of so many rows is fed of a whole cache."""
        found = {}
        for name, held in cache.items():
            index = [slice(None)] * held.ndim
            index[self.axis(name)] = slice(rows, None)
            found[name] = np.ascontiguousarray(held[tuple(index)])
        return found

    def extended(
        self, cache: Mapping[str, Array], outputs: Mapping[str, Array], count: int
    ) -> dict[str, Array]:
        """The cache behind the last `count` rows that a graph gave."""
        found = {}
        for name, held in cache.items():
            axis = self.axis(name)
            new = outputs[name.replace("past", "present", 1)]
            index = [slice(None)] * held.ndim
            index[axis] = slice(new.shape[axis] - count, None)
            whole = np.concatenate([held, new[tuple(index)]], axis)
            index[axis] = slice(count, None)
            found[name] = whole[tuple(index)]
        return found
