"""The prefill graph of a pair in parts: what stands in front, each layer, and the head.

So what a layer sees is computed from what the layers before give with the weights that they will
have, with the weights of one layer in memory twice at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.graph.edit import constant
from snapq.llm.cache import ATTENTION_MASK, INPUT_IDS, POSITION_IDS
from snapq.llm.files import Facts
from snapq.llm.judge import all_rows
from snapq.llm.speaker import windows
from snapq.runtime import processors

__all__ = ["Apart", "Streams"]

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]
_SHARED = ("cosine_queries", "sine_queries", "cosine_keys", "sine_keys", "mask_bias")
"""What the front gives to all layers."""


@dataclass
class Streams:
    """The residual stream of some passages at one place of the graph.

    Attributes:
        values: of each window, `[1, rows, hidden]`.
        counts: how many of its last rows hold tokens.
        starts: whether nothing stands before it.
        shared: what all layers read besides.
    """

    values: list[Floats]
    counts: list[int]
    starts: list[bool]
    shared: list[Mapping[str, Array]] = field(default_factory=list)

    def rows(self, held: Sequence[Array]) -> Floats:
        """The rows of tensors of all windows that hold tokens, `[tokens, width]`."""
        found = [
            array.reshape(-1, array.shape[-1])[-count:]
            for array, count in zip(held, self.counts, strict=True)
        ]
        return np.asarray(np.concatenate(found), np.float32)

    def moved(self, values: list[Floats]) -> Streams:
        """The same passages at another place."""
        return Streams(values, self.counts, self.starts, self.shared)


class Apart:
    """A float prefill graph, run part by part, with weights that may be changed.

    Args:
        model: its weights in memory; left as it is.
        facts: sizes.
    """

    def __init__(self, model: ir.Model, facts: Facts) -> None:
        self._model, self._facts = all_rows(model), facts

    def front(self, texts: Sequence[Sequence[int]]) -> Streams:
        """What goes into the first layer."""
        names = (INPUT_IDS, POSITION_IDS, ATTENTION_MASK)
        run = self._part(names, ("embedding", *_SHARED))
        found = Streams([], [], [])
        rows, context = self._facts.prefill, self._facts.context
        for text in texts:
            length = 0
            for part in windows(text, rows):
                count = len(part)
                ids, positions = np.zeros((2, 1, rows), np.int32)
                mask = np.zeros((1, context), np.int32)
                ids[0, rows - count :] = part
                positions[0, rows - count :] = np.arange(length, length + count)
                length += count
                mask[0, context - length :] = 1
                given = dict(run.run(dict(zip(names, (ids, positions, mask), strict=True))))
                found.values.append(np.asarray(given.pop("embedding"), np.float32))
                found.shared.append(given)
                found.counts.append(count)
                found.starts.append(length == count)
        return found

    def layer(
        self, layer: int, streams: Streams, outputs: Sequence[str]
    ) -> Iterator[Mapping[str, Array]]:
        """Runs one layer window by window, with the cache of what stands before.

        Args:
            layer: which.
            streams: what goes into it.
            outputs: names of tensors of the layer.
        """
        before = "embedding" if layer == 0 else f"layers.{layer - 1}.residual2"
        names = [f"{kind}_{layer}" for kind in ("past_key", "past_value")]
        new = [name.replace("past", "present") for name in names]
        run = self._part((before, *_SHARED, *names), (*outputs, *new))
        layout, cache = self._facts.layout, dict[str, Array]()
        empty = layout.empty()
        for index, values in enumerate(streams.values):
            if streams.starts[index]:
                cache = {name: empty[name] for name in names}
            held = layout.read(cache, self._facts.prefill)
            given = run.run({before: values, **streams.shared[index], **held})
            cache = layout.extended(cache, given, streams.counts[index])
            yield given

    def end(self, streams: Streams) -> list[Floats]:
        """What the head reads, of each window, `[1, rows, hidden]`."""
        before = f"layers.{self._facts.layers - 1}.residual2"
        run = self._part((before,), ("norm",))
        return [np.asarray(run.run({before: one})["norm"], np.float32) for one in streams.values]

    def weight(self, name: str) -> Floats:
        """The weight of a layer, `[in, out]`."""
        held = constant(self._model.graph.initializers[f"{name}.weight_transposed"])
        assert held is not None
        return np.asarray(held, np.float32)

    def put(self, name: str, weight: Floats) -> None:
        """Gives a layer another weight."""
        value = self._model.graph.initializers[f"{name}.weight_transposed"]
        value.const_value = ir.Tensor(weight, name=value.name)

    def _part(self, inputs: Sequence[str], outputs: Sequence[str]) -> CpuModel:
        graph = ir.convenience.extract(self._model.graph, list(inputs), list(outputs))
        part = ir.Model(graph, ir_version=self._model.ir_version)
        return CpuModel(part, threads=processors(), spin=False)
