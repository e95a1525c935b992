"""Building a bundle with the real compiler and simulator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from onnx import helper

from snapq.bundle import ENCODINGS, HELPER, MODEL
from snapq.bundle.read import Bundle
from snapq.config import Io, PackageConfig
from snapq.devices.profiles import find
from snapq.errors import ConfigError, DeviceError, QnnError
from snapq.graph import io as model_files
from snapq.graph.boundary import plan
from snapq.graph.shapes import input_specs
from snapq.npu.qnn.simulate import simulate
from snapq.stages.artifact import Artifact
from snapq.stages.base import Context, Input, Source
from snapq.stages.package import stage as package
from snapq.stages.package.build import Built
from tests.bundle.bundles import PICTURES, make, order
from tests.graph.boundary.small_models import build as build_model
from tests.graph.boundary.small_models import image_samples, run

pytestmark = [pytest.mark.npu, pytest.mark.slow]

Made = tuple[Built, Path]


def test_every_device_is_compiled_and_gives_what_the_quantized_model_gives(made: Made) -> None:
    built, folder = made
    assert [entry.device.name for entry in built.devices] == ["qcs6490", "qcs9075"]
    for reloaded in built.reloads:
        assert reloaded.sentence.startswith("bit-exact")
    assert all(entry.compilation.files.placement.cpu == 0 for entry in built.devices)
    bundle = Bundle.open(folder)
    assert bundle.compiled("qcs9075").is_file()
    assert {b.architecture for t in bundle.manifest.devices for b in t.binaries} == {68, 73}


def test_the_fastest_set_of_options_by_estimate_is_kept(made: Made) -> None:
    target = made[0].devices[1]
    assert target.compilation.estimate is not None
    assert target.compilation.estimate.estimated_on == "qcs9075"
    assert target.compilation.estimate.cycles == min(c["cycles"] for c in target.candidates)
    assert {c["optimization_mode"] for c in target.candidates} == {2, 3}


def test_a_device_without_estimate_is_compiled_with_mode_3_and_names_whose_figure_it_shows(
    made: Made,
) -> None:
    target = made[0].devices[0]
    assert target.compilation.options.optimization_mode == 3
    assert target.compilation.estimate is not None
    assert target.compilation.estimate.device == "qcs6490"
    assert find(target.compilation.estimate.estimated_on).architecture == 68


def test_golden_data_are_what_the_simulator_gives(made: Made) -> None:
    bundle = Bundle.open(made[1])
    feeds = list(bundle.golden_feeds())
    assert [feed["image"].dtype.name for feed in feeds] == ["uint8", "uint8"]
    for device in ("qcs9075", "qcs6490"):
        golden = list(bundle.golden_outputs(device))
        found = simulate(bundle.compiled(device), find(device), feeds, workers=1)
        for one, other in zip(golden, found, strict=True):
            np.testing.assert_array_equal(one["scores"], other["scores"])


def test_the_same_model_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    make(tmp_path, devices=("qcs6490", "qcs9075"))
    first, second = made[1], tmp_path / "bundle"
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert names == sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
    assert [n for n in names if (first / n).read_bytes() != (second / n).read_bytes()] == []


def test_the_portable_model_runs_on_the_cpu_within_a_few_steps_of_the_simulator(made: Made) -> None:
    bundle = Bundle.open(made[1])
    model = ir.load(bundle.model)
    pairs = zip(bundle.golden_feeds(), bundle.golden_outputs("qcs9075"), strict=True)
    for feed, golden in pairs:
        steps = run(model, feed)["scores"].astype(int) - golden["scores"].astype(int)
        assert np.abs(steps).max() <= 8


def test_a_float_model_becomes_an_fp16_bundle(tmp_path: Path) -> None:
    built = make(tmp_path, PackageConfig(optimization_modes=(3,)), quantize=False)
    bundle = Bundle.open(tmp_path / "bundle")
    assert bundle.manifest.precision == "fp16"
    assert bundle.manifest.encodings is None
    assert (bundle.manifest.inputs[0].dtype, bundle.manifest.outputs[0].dtype) == (
        "uint8",
        "float32",
    )
    assert built.reloads[0].sentence.startswith("bit-exact")


def test_a_float_model_is_refused_where_the_npu_has_no_fp16(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"qcs6490 \(v68\) cannot run a float model"):
        make(tmp_path, quantize=False, devices=("qcs6490",))
    assert not (tmp_path / "bundle").exists()


def test_extra_artefacts_come_where_asked_and_embedding_leaves_one_file(tmp_path: Path) -> None:
    config = PackageConfig(
        dlc=True, multi_soc=True, embed=True, optimization_modes=(3,), golden_samples=1
    )
    make(tmp_path, config, devices=("qcs9075", "sm8650"))
    bundle = Bundle.open(tmp_path / "bundle")
    assert bundle.manifest.extra == {"dlc": "model.dlc", "multi_soc": "multi_soc/model_ctx.onnx"}
    assert bundle.manifest.devices[0].files == ("devices/qcs9075/model_ctx.onnx",)


def test_one_device_makes_no_container(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least two devices"):
        make(tmp_path, PackageConfig(multi_soc=True))


def test_vtcm_sizes_that_a_device_lacks_are_left_out_and_said(tmp_path: Path) -> None:
    config = PackageConfig(vtcm_mb=(2, 64), optimization_modes=(3,), golden_samples=1)
    built = make(tmp_path, config)
    assert [c["vtcm_mb"] for c in built.devices[0].candidates] == [None, 2]
    assert any("64 MB is not tried" in note for note in built.notes)


def test_without_samples_the_golden_data_are_random_and_it_is_said(tmp_path: Path) -> None:
    config = PackageConfig(optimization_modes=(3,), golden_samples=1)
    built = make(tmp_path, config, quantize=False, samples=[])
    assert built.notes == ("There are no samples; the golden data are 1 random inputs.",)
    assert len(list(Bundle.open(tmp_path / "bundle").golden_feeds())) == 1


def refused_node(folder: Path) -> Source:
    """A float model with a node that the NPU does not have."""
    weights = np.random.default_rng(0).normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], "conv"),
        helper.make_node("Acosh", ["c"], ["a"], "strange"),
        helper.make_node("Relu", ["a"], ["y"], "relu"),
    ]
    model = build_model(nodes, {"image": [1, 3, 16, 16]}, ["y"], {"w": weights})
    model_files.save(model, folder / "model.onnx")
    return Source(folder / "model.onnx", "float", folder)


@pytest.mark.parametrize(("share", "error"), [(1.0, "strange"), (0.9, "strange"), (0.5, None)])
def test_a_node_off_the_npu_is_an_error_that_names_it_or_what_the_gate_allows(
    share: float, error: str | None, tmp_path: Path
) -> None:
    source = refused_node(tmp_path)
    chosen = plan(input_specs(ir.load(source.model)), Io(), {"image": PICTURES})
    values = {
        Input.PREVIOUS: source,
        Input.DEVICES: [find("qcs9075")],
        Input.BOUNDARY: chosen,
        Input.NPU_SHARE: share,
    }
    out = tmp_path / "stage"
    out.mkdir()
    config = PackageConfig(optimization_modes=(3,), golden_samples=1)
    context = Context(package.reads(config), values)
    if error:
        with pytest.raises(QnnError, match=error):
            package.run(config, context, out)
        assert list(out.iterdir()) == []
    else:
        package.run(config, context, out)
        (placement,) = package.Packaged.read(out).placements
        assert [node.name for node in placement.cpu_nodes] == ["strange"]


def test_the_stage_records_what_it_made(made: Made, tmp_path: Path) -> None:
    asked = order(tmp_path)
    config = PackageConfig(optimization_modes=(3,))
    values = {
        Input.PREVIOUS: Source(asked.model, "w8a8", tmp_path),
        Input.DEVICES: asked.devices,
        Input.BOUNDARY: asked.plan,
        Input.GOLDEN: image_samples((1, 3, 16, 16), PICTURES, 2),
    }
    out = tmp_path / "stage"
    out.mkdir()
    outcome = package.run(config, Context(package.reads(config), values), out)
    assert outcome.precision == "w8a8"
    packaged = package.Packaged.read(out)
    assert packaged.boundary.outputs[0].dtype == "uint8"
    assert packaged.compiled_model(out / "bundle", "qcs9075").is_file()
    assert [record.label for record in packaged.estimates] == ["w8a8"]
    for name in (MODEL, ENCODINGS, HELPER):
        assert (out / "bundle" / name).is_file()
    written = Artifact.write(
        out, stage="package", precision="w8a8", seconds=0, notes=(), details=outcome.details
    )
    assert Artifact.read(out).sha256 == written.sha256
