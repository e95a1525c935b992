"""What users of other quantizers do by hand first: without it some models come out broken.

Both were seen: models of opset 9 come out invalid, and metadata of an exporter crashes.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import version_converter

__all__ = ["repaired"]

_OPSET = 17
"""The first with LayerNormalization."""


def repaired(model: Path, output: Path) -> Path:
    """Writes a model with fixed shapes, raised to opset 17 and without metadata.

    Args:
        model: where it is.
        output: where to write it.
    """
    loaded = onnx.load(model)
    del loaded.metadata_props[:]
    if loaded.opset_import[0].version < _OPSET:
        del loaded.graph.value_info[:]
        loaded = version_converter.convert_version(loaded, _OPSET)
    onnx.save(onnx.shape_inference.infer_shapes(loaded), output)
    return output
