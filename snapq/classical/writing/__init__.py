"""Steps and estimators as ONNX, for ONNX Runtime on a CPU.

writer         nodes and constants of a graph that is being written; the table of operations
steps          the host's steps
columns        sums of columns
coupling       probabilities of pairs of classes
far_rows       rows of SVMs that the NPU does not hold
tree_encoding  rows and sums of trees that the NPU holds
trees          trees as TreeEnsemble of ai.onnx.ml 5
ensembles      an ensemble in as few bytes as it takes
model          the whole
"""

from __future__ import annotations

from snapq.classical.writing import columns, coupling, far_rows, steps, tree_encoding
from snapq.classical.writing.model import items_to_onnx, program_to_onnx

__all__ = [
    "columns",
    "coupling",
    "far_rows",
    "items_to_onnx",
    "program_to_onnx",
    "steps",
    "tree_encoding",
]
