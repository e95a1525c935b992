"""Packages of five kinds of models, without a bundle on disk: what they take and give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from snapq.bundle import snapq_io
from snapq.bundle.manifest import input_entry, output_entry
from snapq.bundle.schema import BundleFile, BundleProvenance, Manifest
from snapq.config import Align, Color, Io, Preprocess, Resample
from snapq.graph.boundary import InputBoundary, OutputBoundary, plan
from snapq.graph.shapes import TensorSpec
from tests.graph.boundary.small_models import IMAGENET, WHOLE

NHWC = (0, 3, 1, 2)
"""Where a package with channels last has each axis of the model."""


def manifest_of(inputs: Sequence[InputBoundary], outputs: Sequence[OutputBoundary]) -> Manifest:
    """The manifest of a package that nothing is compiled of."""
    names = ("model.onnx", "snapq_io.py")
    return Manifest(
        precision="w8a16",
        inputs=tuple(map(input_entry, inputs)),
        outputs=tuple(map(output_entry, outputs)),
        model=names[0],
        encodings=None,
        helper=names[1],
        devices=(),
        golden_samples=0,
        random_inputs=False,
        extra={},
        provenance=BundleProvenance(snapq="0", versions={}, source_sha256="0" * 64),
        files=tuple(BundleFile(path=name, bytes=1, sha256="0" * 64) for name in names),
    )


def picture(
    preprocess: Preprocess,
    size: tuple[int, int],
    *,
    name: str = "image",
    io: Io | None = None,
    last: bool = False,
    batch: int = 1,
) -> InputBoundary:
    """An input that pictures feed."""
    channels = 1 if preprocess.color is Color.GRAY else 3
    shape = (batch, *size, channels) if last else (batch, channels, *size)
    spec = TensorSpec(name, np.dtype(np.float32), shape)
    return plan([spec], io or Io(), {name: preprocess}).inputs[0]


def given(
    name: str, model_dtype: str, shape: tuple[int, ...], dtype: str = "", **more: Any
) -> InputBoundary:
    """An input of another kind."""
    return InputBoundary(name, model_dtype, shape, dtype=dtype or model_dtype, **more)


def codes(name: str, shape: tuple[int, ...], dtype: str, **more: Any) -> OutputBoundary:
    """A quantized output."""
    more = {"scale": 0.0123456789, "zero_point": 37, **more}
    return OutputBoundary(name, "float32", shape, quantized=True, dtype=dtype, **more)


def floats(name: str, shape: tuple[int, ...], dtype: str = "float32", **more: Any) -> Any:
    """An output as it is."""
    return OutputBoundary(name, dtype, shape, dtype=dtype, **more)


CLASSIFIER = manifest_of(
    [
        picture(
            IMAGENET.model_copy(
                update={"resize": 40, "crop": (32, 32), "resample": Resample.BICUBIC}
            ),
            (32, 32),
        )
    ],
    [codes("scores", (1, 1000), "uint8", scale=0.00390625, zero_point=0)],
)
DETECTOR = manifest_of(
    [
        picture(
            Preprocess(letterbox=(48, 64), fill=(114, 113, 7), std=(255,), mean=(0,), color="bgr"),
            (48, 64),
            name="images/0:*/",
            io=Io(dtype="float"),
        )
    ],
    [
        codes("boxes", (1, 4, 12, 16), "uint8", permutation=NHWC),
        codes("scores", (1, 80, 12, 16), "int8", permutation=NHWC, zero_point=-128),
    ],
)
SPEECH = manifest_of(
    [
        given(
            "x", "float32", (1, 512), quantized=True, dtype="uint16", scale=3e-5, zero_point=32768
        ),
        given("state", "float32", (2, 1, 128)),
        given("sr", "int64", ()),
    ],
    [floats("probability", (1, 1)), floats("stateN", (2, 1, 128))],
)
TEXT = manifest_of(
    [
        given("input_ids", "int64", (1, 24), dtype="int32"),
        given("mask", "bool", (1, 24)),
        given("weight", "float32", (3,), dtype="float16"),
    ],
    [floats("embedding", (1, 24, 16), "float16"), floats("label", (1,), "int64")],
)
WIDE = manifest_of(
    [
        given(
            "map",
            "float32",
            (1, 5, 6, 7),
            quantized=True,
            dtype="int16",
            scale=0.0007,
            zero_point=-12,
            permutation=NHWC,
        ),
        picture(
            Preprocess(
                resize=(20, 24),
                color="gray",
                resample="lanczos",
                mean=(3,),
                std=(7,),
                align=Align.CENTER,
            ),
            (20, 24),
            name="gray",
            io=Io(dtype="quantized", layout="as-is"),
        ),
        picture(
            WHOLE.model_copy(update={"crop": 8, "align": Align.TOP_LEFT}),
            (8, 8),
            last=True,
            batch=2,
        ),
    ],
    [
        codes("depth", (1, 2, 9, 4), "uint16", permutation=NHWC, zero_point=40000),
        codes("flow", (1, 2, 3), "int16", zero_point=-5),
    ],
)
KINDS = {
    "a classifier of pictures": CLASSIFIER,
    "a detector with a letterbox": DETECTOR,
    "audio with state": SPEECH,
    "indices, flags and halves": TEXT,
    "16-bit outputs": WIDE,
}


def helper_of(manifest: Manifest) -> snapq_io.Package:
    """snapq_io's own view of a package."""
    return snapq_io.Package(Path(), manifest.model_dump(mode="json"))
