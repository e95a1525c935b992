"""Opens a model that is in memory on the host's CPU, however large it is."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import onnx_ir as ir

from snapq.graph import io
from snapq.runtime import cpu_session

if TYPE_CHECKING:
    import onnxruntime

_LARGEST_IN_MEMORY = 1 << 30


def open_model(model: ir.Model, *, optimize: bool = True) -> onnxruntime.InferenceSession:
    """A session on a model; over 1 GB of constants it goes through a file.

    Args:
        model: the model.
        optimize: whether ONNX Runtime may rewrite the graph; False computes each node as written.

    Raises:
        ModelError: ONNX Runtime does not accept the model.
    """
    constants = (value.const_value for value in model.graph.initializers.values())
    if sum(tensor.nbytes for tensor in constants if tensor is not None) < _LARGEST_IN_MEMORY:
        return cpu_session(io.to_bytes(model), optimize=optimize)
    with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
        path = Path(folder) / "model.onnx"
        io.save(model, path)
        return cpu_session(path, optimize=optimize)
