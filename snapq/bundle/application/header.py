"""`include/snapq_model.h`: what the package takes and gives, as plain C."""

from __future__ import annotations

from collections.abc import Sequence

from snapq.bundle.application.identifiers import identifiers
from snapq.bundle.application.templating import render
from snapq.bundle.application.tensors import TensorView, input_view, output_view
from snapq.bundle.schema import Manifest

__all__ = ["header", "views"]


def views(manifest: Manifest) -> tuple[tuple[TensorView, ...], tuple[TensorView, ...]]:
    """The inputs and outputs of a bundle as the templates have them."""
    inputs, outputs = manifest.inputs, manifest.outputs
    ids = identifiers([item.name for item in inputs]), identifiers([item.name for item in outputs])
    return (
        tuple(input_view(item, name) for item, name in zip(inputs, ids[0], strict=True)),
        tuple(output_view(item, name) for item, name in zip(outputs, ids[1], strict=True)),
    )


def header(manifest: Manifest, labels: Sequence[str] = ()) -> str:
    """The text of the header.

    Args:
        manifest: of the bundle.
        labels: what the classes are called, in order; none where that is not known.
    """
    inputs, outputs = views(manifest)
    dtypes = {item.dtype for item in (*inputs, *outputs)}
    return render(
        "snapq_model.h",
        snapq=manifest.provenance.snapq,
        precision=manifest.precision,
        batch=manifest.batch,
        inputs=inputs,
        outputs=outputs,
        labels=labels,
        remarks=_remarks(manifest),
        has={"half": "float16" in dtypes, "image": any(item.image for item in inputs)},
    )


def _remarks(manifest: Manifest) -> tuple[str, ...]:
    """What the header does not do."""
    if manifest.host is not None:
        if manifest.host.head_model and manifest.host.tail_model:
            return ("Rows are encoded by head.onnx and answers decoded by tail.onnx, on the CPU.",)
        return ("Rows are encoded and answers decoded by snapq_io.py, in Python.",)
    if manifest.tail is not None:
        return ("What lies behind the outputs is in tail.onnx, for the CPU.",)
    return ()
