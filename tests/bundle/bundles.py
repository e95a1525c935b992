"""Bundles of a small network, built once for all tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import helper

from snapq.config import Io, PackageConfig, Preprocess
from snapq.devices.profiles import find
from snapq.evaluation.samples import Sample
from snapq.evaluation.tail import TailFile
from snapq.graph import io as model_files
from snapq.graph.boundary import fold_normalization, plan
from snapq.graph.shapes import input_specs
from snapq.progress import Silent
from snapq.stages.package.build import Built, build
from snapq.stages.package.job import PackageJob
from snapq.storage import write_json
from tests.graph.boundary.small_models import conv_net, image_samples, quantized

PICTURES = Preprocess(
    resize=20, crop=16, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), color="bgr"
)


def order(
    folder: Path,
    *,
    devices: Iterable[str] = ("qcs9075",),
    quantize: bool = True,
    samples: list[Sample] | None = None,
    npu_share: float = 1.0,
    tail: bool = False,
) -> PackageJob:
    """The order of a bundle of the small network, its model written into `folder`.

    With a tail it is one of a model that was cut in front of its last Softmax.
    """
    model = conv_net(pads=[1, 1, 1, 1])
    chosen = plan(input_specs(model), Io(), {"image": PICTURES})
    given = image_samples((1, 3, 16, 16), PICTURES, 3) if samples is None else samples
    if quantize:
        model = quantized(fold_normalization(model, chosen), chosen, given, architecture=68)
        write_json(folder / "encodings.json", [])
    model_files.save(model, folder / "source.onnx")
    if tail:
        onnx.save(_tail("scores"), folder / "tail.onnx")
    return PackageJob(
        model=folder / "source.onnx",
        precision="w8a8" if quantize else "float",
        encodings=folder / "encodings.json" if quantize else None,
        devices=[find(name) for name in devices],
        plan=chosen,
        samples=given or None,
        float_model=None,
        npu_share=npu_share,
        random_inputs=False,
        tail=TailFile(folder / "tail.onnx", ("probabilities",)) if tail else None,
    )


def _tail(name: str) -> onnx.ModelProto:
    """The Softmax behind an output of the network."""
    node = helper.make_node("Softmax", [name], ["probabilities"])
    taken = helper.make_tensor_value_info(name, 1, None)
    given = helper.make_tensor_value_info("probabilities", 1, None)
    graph = helper.make_graph([node], "tail", [taken], [given])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def make(folder: Path, config: PackageConfig | None = None, **wanted: object) -> Built:
    """Builds `folder/bundle`."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = order(folder, **wanted)  # type: ignore[arg-type]
    return build(asked, config or PackageConfig(golden_samples=2), folder / "bundle", Silent())
