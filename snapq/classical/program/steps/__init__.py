"""The functions of the steps, one module a family; importing this fills the table.

A step with the name of an ONNX operator is that operator as of opset 18 (of ai.onnx.ml 3): axes,
shapes, bounds and sizes are inputs. What a converter writes of older opsets is brought into that
form when it is read.
"""

from __future__ import annotations

from . import (
    columns,
    elementwise,
    far_rows,
    features,
    logic,
    reductions,
    shapes,
    svm,
    tree_encoding,
    trees,
)

__all__ = [
    "columns",
    "elementwise",
    "far_rows",
    "features",
    "logic",
    "reductions",
    "shapes",
    "svm",
    "tree_encoding",
    "trees",
]
