"""`snapq init` for a tree ensemble, SVM or linear model: its part of the first deploy.yaml."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from snapq.errors import ModelError

if TYPE_CHECKING:
    import onnx_ir as ir

ROWS = 128
"""Rows at once where the model leaves it open."""
_PLAIN = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_WORDS = {"true", "false", "null", "yes", "no", "on", "off"}

_TEXT = """\
  inputs:  # rows at once: the more, the more the NPU gains; `snapq inspect` says from how many on
{inputs}
{devices}data:
  # CHANGE: random rows show only that the model runs. With rows of your own in their place, which
  # are checked against ONNX Runtime's answers on the simulator:
  # evaluation: {{table: test.csv, label: target}}  # columns by name, a label in each row
  calibration: {{random: true, samples: {samples}}}
metric: null  # {metric}, once evaluation has labels
stages:
  - lower: {{}}  # {lowered}
  - package: {{}}
gates: {{}}  # such as {{npu_nodes: all, min_equal_answers: 1}}
"""


def classical_text(model: ir.Model, devices: str) -> str:
    """The lines behind the path of the model.

    Args:
        model: the classical model.
        devices: the line with the devices.

    Raises:
        ModelError: an input is no table of rows.
    """
    import onnx_ir as ir

    from snapq.graph.classical import TREES, estimators
    from snapq.graph.shapes import graph_inputs

    lines, rows = [], ROWS
    for value in graph_inputs(model):
        dims = list(value.shape.dims) if value.shape is not None else []
        if len(dims) != 2 or not isinstance(dims[1], int):
            raise ModelError(
                f"Input '{value.name}' does not say how many columns it takes.",
                where=str(value.name),
                hint="Convert the model anew with the number of columns in its input type.",
            )
        if isinstance(dims[0], int) and dims[0] > 0:
            rows = dims[0]
        lines.append((_scalar(str(value.name)), dims[1]))
    kinds = [node.op_type for node in estimators(model)]
    trees = any(kind.startswith(TREES) for kind in kinds)
    labels = any("Classifier" in kind for kind in kinds) or any(
        value.dtype in (ir.DataType.INT64, ir.DataType.STRING) for value in model.graph.outputs
    )
    return _TEXT.format(
        inputs="\n".join(f"    {name}: [{rows}, {columns}]" for name, columns in lines),
        devices=devices,
        samples=rows,
        metric="top1, f1, auc" if labels else "r2, mae, rmse",
        lowered="trees become exact integers of 8 bits"
        if trees
        else "fp16 behind it; for w8a16 put `quantize: {activations: uint16}` here",
    )


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
