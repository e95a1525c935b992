"""Whoever calls from Python gets our errors alone, with the arguments' names, and short texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snapq
from snapq import api
from snapq.api.calibration import calibration_source, given_samples
from snapq.api.public import command_line
from snapq.graph.shapes import TensorSpec
from tests.cli.test_bad_input import invoke
from tests.report.report_records import HOSTILE, hostile, large, realistic

ARRAY = np.zeros((1, 3, 32, 32), np.float32)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: snapq.quantize(5), "`model` is a path, and not 5"),
        (lambda: snapq.quantize(None), "`model` is a path, and not None"),
        (lambda: snapq.quantize("m.onnx", weigths="int8"), "Did you mean weights=?"),
        (lambda: snapq.quantize(), "missing a required argument: 'model'"),
        (lambda: snapq.quantize("m.onnx", weights="int9"), "weights: There is no weights 'int9'"),
        (lambda: snapq.quantize("m.onnx", weights="itn8"), "Did you mean 'int8'?"),
        (lambda: snapq.quantize("m.onnx", preset="bst"), "Did you mean 'best'?"),
        (lambda: snapq.quantize("m.onnx", devices="sm8650"), "`devices` is a list of texts"),
        (lambda: snapq.quantize("m.onnx", inputs={"x": "1,3"}), "`inputs` is a shape for each"),
        (lambda: snapq.quantize("m.onnx", inputs=[1, 3]), "`inputs` is a shape for each"),
        (lambda: snapq.quantize("m.onnx", samples="8"), "`samples` is a whole number"),
        (lambda: snapq.quantize("m.onnx", samples=True), "`samples` is a whole number"),
        (lambda: snapq.quantize("m.onnx", overwrite="yes"), "`overwrite` is True or False"),
        (lambda: snapq.quantize("m.onnx", progress=print), "a progress reporter"),
        (lambda: snapq.quantize("m.onnx", {"x": ARRAY}), "calibration: One sample is given"),
        (lambda: snapq.quantize("m.onnx", ARRAY), "calibration: One array is given"),
        (lambda: snapq.quantize("m.onnx", 7), "neither a path nor a list of samples"),
        (lambda: snapq.prune("m.onnx", "half"), "`ratio` is a number"),
        (lambda: snapq.prune("m.onnx", 1.5), "prune(ratio=…)"),
        (lambda: snapq.prune("m.onnx", 0.5, importance="mag"), "There is no importance"),
        (lambda: snapq.estimate("m.onnx"), "missing a required argument: 'device'"),
        (lambda: snapq.estimate("m.onnx", 8650), "`device` is a text"),
        (lambda: snapq.simulate("m.onnx", "sm8650", ARRAY), "samples: One array is given"),
        (lambda: snapq.run(3), "`config` is"),
        (lambda: snapq.open_run(3), "`folder` is a path"),
        (lambda: snapq.benchmark("b", ["local"]), "`target` is a text"),
        (lambda: snapq.benchmark("b", protocol={"min_runs": 0}), "benchmark(min_runs=…)"),
        (lambda: snapq.benchmark("b", protocol={"runs": 5}), "benchmark(runs=…)"),
        (lambda: snapq.benchmark("b", protocol=5), "5 is no protocol"),
        (lambda: snapq.compare(1, 2), "`before` is"),
        (lambda: snapq.history(limit="many"), "`limit` is a whole number"),
        (lambda: snapq.package("m.onnx", [], "out"), "No device is given"),
        (lambda: snapq.package("m.onnx", "sm8650", "out"), "`devices` is a list of texts"),
        (lambda: snapq.find_device("sm865O"), "Did you mean"),
    ],
)
def test_wrong_arguments_are_our_errors_and_name_the_argument(call: Any, said: str) -> None:
    with pytest.raises(snapq.SnapqError) as caught:
        call()
    assert said in str(caught.value)


def test_each_public_function_looks_at_its_arguments() -> None:
    names = [name for name in snapq.__all__ if name[0].islower()]
    assert len(names) > 15
    for name in names:
        with pytest.raises(snapq.SnapqError, match="takes no `nonsense`"):
            getattr(snapq, name)(nonsense=1)


def test_python_is_told_arguments_and_the_command_line_options(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    with pytest.raises(snapq.SnapqError) as caught:
        snapq.quantize(model)
    assert caught.value.where == "calibration"
    assert "random_inputs=True" in str(caught.value)
    assert "--" not in str(caught.value)
    with command_line(), pytest.raises(snapq.SnapqError) as told:
        api.quantize(model)
    assert told.value.where == "--calibration"
    assert "--random-inputs" in str(told.value)
    model.write_bytes(b"x")
    code, output = invoke("quantize", str(model), "-o", "q.onnx")
    assert (code, "--random-inputs" in output) == (2, True)


def test_an_existing_file_is_told_by_the_name_of_the_one_who_asks(tmp_path: Path) -> None:
    taken = tmp_path / "deploy.yaml"
    taken.write_text("mine")
    with pytest.raises(snapq.SnapqError) as caught:
        snapq.init(tmp_path / "m.onnx", output=taken)
    assert "overwrite it with force=True" in str(caught.value)
    _, output = invoke("init", str(tmp_path), "-o", str(taken))
    assert "overwrite it with --force." in output


SPEC = TensorSpec("image", np.dtype(np.float32), (1, 3, 32, 32))


def test_arrays_are_samples_of_a_model_with_one_input() -> None:
    data = given_samples([ARRAY, ARRAY + 1], [SPEC])
    assert [set(sample.feeds) for sample in data] == [{"image"}, {"image"}]
    named = given_samples([{"image": ARRAY}, {"image": ARRAY + 1}], [SPEC])
    assert data.fingerprint() == named.fingerprint()


def test_a_generator_of_arrays_is_read_once() -> None:
    def made() -> Iterator[np.ndarray]:
        yield ARRAY
        yield ARRAY + 1

    data = given_samples(made(), [SPEC])
    assert len(data) == 2
    assert [float(sample.feeds["image"].max()) for sample in data] == [0, 1]


def test_so_many_samples_as_are_asked_for_are_used() -> None:
    source = calibration_source([ARRAY, ARRAY, ARRAY], 2, random_inputs=False)
    assert len(given_samples(source, [SPEC])) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sample", "inputs", "said"),
    [
        (ARRAY, 2, "'a': array, 'b': array"),
        ([0.0, 1.0], 1, "neither an array nor a mapping"),
        ({0: ARRAY}, 1, "0 is no name of an input"),
        ("image.png", 1, "neither an array nor a mapping"),
    ],
)
def test_what_is_no_sample_is_refused_with_its_number(sample: Any, inputs: int, said: str) -> None:
    specs = [TensorSpec(name, np.dtype(np.float32), (1,)) for name in "ab"[:inputs]]
    with pytest.raises(snapq.SnapqError, match="sample 0") as caught:
        list(given_samples([sample], specs))
    assert said in str(caught.value)


@pytest.mark.parametrize("record", [realistic(), large(), hostile()], ids=["real", "large", "bad"])
def test_a_run_fits_a_screen_and_a_notebook(record: Any) -> None:
    run = snapq.Run(Path("runs/name/time"), record)
    assert len(repr(run)) < 400
    assert "\n" not in repr(run)
    assert len(run._repr_html_()) < 8000
    assert run._repr_html_().count("<tr>") <= 13


def test_names_of_models_stay_text_in_a_notebook() -> None:
    shown = snapq.Run(Path("<b>"), hostile())._repr_html_()
    assert not any(f"<{word}" in shown for word in ("script", "img", "svg", "b>&"))
    assert "<b>" + "</b>" not in shown
    assert HOSTILE


@pytest.mark.npu
@pytest.mark.slow
def test_a_model_is_packaged_without_a_deploy_yaml(project: Path) -> None:
    rng = np.random.default_rng(0)
    samples = [rng.normal(size=(1, 3, 32, 32)).astype(np.float32) for _ in range(2)]
    shapes = {"image": (1, 3, 32, 32)}
    made = snapq.quantize(
        project / "tiny.onnx", samples, inputs=shapes, preset="fast", output=project / "q.onnx"
    )
    done = snapq.package(made, ["qcs9075"], project / "bundle", samples)
    assert repr(done) == f"<Package {project / 'bundle'} for qcs9075>"
    assert (done.path / "manifest.json").is_file()
    assert {place.label for place in done.record.placements} == {"w8a8"}
    assert not any(one.random_inputs for one in done.record.fidelity)
    with pytest.raises(snapq.SnapqError, match="overwrite=True"):
        snapq.package(made, ["qcs9075"], project / "bundle")
    with pytest.raises(snapq.SnapqError, match="exists"):
        snapq.package(made, ["qcs9075"], project, overwrite=True)
