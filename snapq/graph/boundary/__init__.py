"""The graph's boundary: what the package takes and gives, and how the graph is made to.

A float model takes normalized float images in its own layout. A camera gives 8-bit pixels, channels
last. The boundary joins them without work on the host: the normalization becomes the encoding of
the input (and, where one encoding cannot say it, part of the graph), and the layout change becomes
a Transpose that the NPU's compiler cancels.

`plan` decides, `fold_normalization` edits the float model, `apply` edits the finished one.
"""

from snapq.graph.boundary.apply import Applied, apply
from snapq.graph.boundary.calls import calls, gathered, parted
from snapq.graph.boundary.fold import fold_normalization
from snapq.graph.boundary.ids import only_looked_up
from snapq.graph.boundary.plan import plan
from snapq.graph.boundary.values import (
    Boundary,
    FixedEncoding,
    ImageFeed,
    InputBoundary,
    OutputBoundary,
    Sample,
)

__all__ = [
    "Applied",
    "Boundary",
    "FixedEncoding",
    "ImageFeed",
    "InputBoundary",
    "OutputBoundary",
    "Sample",
    "apply",
    "calls",
    "fold_normalization",
    "gathered",
    "only_looked_up",
    "parted",
    "plan",
]
