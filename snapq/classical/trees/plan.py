"""One way to put a forest onto the NPU: how it is encoded, cut into blocks, and laid out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx_ir as ir

from snapq.classical.program import Array, Step
from snapq.classical.trees import blocks, network
from snapq.classical.trees.blocks import Part
from snapq.classical.trees.digits import EXACT_BITS, write_values
from snapq.classical.trees.encoding import Encoding
from snapq.classical.trees.forest import Forest
from snapq.classical.trees.network import Counted, Layout


@dataclass(frozen=True)
class Shape:
    """What candidates differ in beside the encoding.

    Attributes:
        width: leaves a block.
        parts: groups of trees that are computed one after another, at least.
        height: lines of the image in which the rows lie.
    """

    width: int
    parts: int
    height: int


@dataclass(frozen=True)
class Plan:
    """A candidate.

    Attributes:
        forest: the trees.
        encoding: what the host sends.
        shape: of the candidate.
        batch: rows a call.
        bits: of leaf values.
    """

    forest: Forest
    encoding: Encoding
    shape: Shape
    batch: int
    bits: int

    @cached_property
    def layout(self) -> Layout:
        """The rows as an image; the last are padding where the batch does not fill it."""
        return Layout(self.shape.height, -(-self.batch // self.shape.height))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The trees in parts and blocks."""
        return blocks.pack(self.forest, self.shape.width, self.shape.parts)

    @cached_property
    def counted(self) -> Counted:
        """What the columns of the output count."""
        digits = write_values(self.forest, self.parts, self.bits)
        return network.counted(self.forest, self.parts, digits)

    @cached_property
    def weight_bytes(self) -> int:
        """Bytes of all weights."""
        total = 0
        for part, targets in zip(self.parts, self.counted.targets, strict=True):
            conditions = len(part.blocks) * part.conditions
            leaves = len(part.blocks) * part.leaves
            read = sum(given.width for given in self.encoding.inputs)
            counted = sum(self.counted.digits[target].count for target in targets)
            total += conditions * read + leaves * part.conditions + leaves * counted
        return total

    def model(self) -> ir.Model:
        """The NPU's part."""
        return network.build(self.forest, self.encoding, self.parts, self.counted, self.layout)

    def encode(self) -> tuple[Step, ...]:
        """Steps from the estimators' rows to the model's inputs."""
        size = {"height": self.layout.height, "width": self.layout.width}
        joins = tuple(
            Step("tree_input", self.encoding.parts[given.name], (given.name,), dict(size))
            for given in self.encoding.inputs
        )
        return self.encoding.steps + joins

    def decode(self) -> tuple[Step, ...]:
        """Steps from the model's output to the sums of each estimator."""
        return tuple(self._sums(index) for index in range(len(self.forest.estimators)))

    def _sums(self, index: int) -> Step:
        targets = self.forest.ensembles[index].targets
        columns: list[int] = []
        runs = []
        steps = np.ones(targets)
        for target in range(targets):
            digits = self.counted.digits.get((index, target))
            if digits is None:
                continue  # every leaf adds the same
            places = self.counted.places((index, target))
            weights = np.zeros((len(places), targets))
            weights[:, target] = np.tile(digits.weights, len(places) // digits.count)
            steps[target] = digits.step
            columns += places
            runs.append(weights)
        offset = np.zeros(targets)
        for tree in self.forest.trees:
            if tree.ensemble == index:
                offset += tree.offset
        arrays: dict[str, Array] = {
            "columns": np.array(columns, np.int32),
            "weights": np.concatenate(runs) if runs else np.zeros((0, targets)),
            "step": steps,
            "offset": offset,
        }
        name = self.forest.estimators[index].sums
        return Step("tree_digit_sums", (network.OUTPUT,), (name,), {"rows": self.batch}, arrays)

    @property
    def note(self) -> str:
        """How it is done, for the reader."""
        sizes = {f"{part.conditions}x{part.leaves}" for part in self.parts}
        count = sum(len(part.blocks) for part in self.parts)
        trees = len(self.forest.trees)
        parts = "" if len(self.parts) == 1 else f" in {len(self.parts)} parts"
        return (
            f"{trees} {'tree' if trees == 1 else 'trees'} in {count} "
            f"{'block' if count == 1 else 'blocks'} of {', '.join(sorted(sizes))}{parts}, "
            f"{self.encoding.form}"
        )

    @property
    def exact(self) -> bool:
        """Whether leaf values keep as many bits as a float32 has."""
        return self.bits >= EXACT_BITS
