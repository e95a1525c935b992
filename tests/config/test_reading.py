"""What a correct deploy.yaml means."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapq.config import Color
from snapq.errors import ConfigError, RenamedWarning
from snapq.precision import WeightType
from tests.config.conftest import VALID, Load


def test_the_example_of_the_design_loads_with_its_anchor(load_text: Load, tmp_path: Path) -> None:
    config = load_text(VALID)
    assert config.model.path == tmp_path / "model.onnx"
    assert config.model.inputs == {"input": (1, 3, 224, 224)}
    assert config.data.calibration is not None
    assert config.data.evaluation is not None
    assert config.data.evaluation.preprocess == config.data.calibration.preprocess
    assert config.data.evaluation.labels == tmp_path / "data/val.csv"
    assert [stage.name for stage in config.stages] == ["quantize", "package"]


def test_relative_paths_start_at_the_file_and_not_at_the_current_folder(
    load_text: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert load_text(VALID).model.path == tmp_path / "model.onnx"


def test_paths_of_options_start_at_the_current_folder(
    load_text: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert load_text(VALID, ["model.path=a/../b.onnx"]).model.path == Path("/b.onnx")


def test_the_home_folder_is_put_in(load_text: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert load_text(VALID.replace("model.onnx", "~/m.onnx")).model.path == Path("/home/ada/m.onnx")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("${SNAPQ_A}", "hello"),
        ("$SNAPQ_A-x", "hello-x"),
        ("${SNAPQ_NONE:-other}", "other"),
        ("'${SNAPQ_NUMBER}'", "64"),
    ],
)
def test_environment_variables_are_put_in(
    load_text: Load, monkeypatch: pytest.MonkeyPatch, written: str, read: str
) -> None:
    monkeypatch.setenv("SNAPQ_A", "hello")
    monkeypatch.setenv("SNAPQ_NUMBER", "64")
    assert load_text(VALID.replace("efficientnet-lite0", written)).name == read


def test_a_variable_can_be_a_number(load_text: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAPQ_NUMBER", "7")
    config = load_text(VALID + "seed: ${SNAPQ_NUMBER}\n")
    assert config.seed == 7


def test_two_dollars_are_one(load_text: Load) -> None:
    assert load_text(VALID.replace("model.onnx", "$$a.onnx")).model.path.name == "$a.onnx"


def test_numbers_and_words_are_those_of_yaml_1_2(load_text: Load) -> None:
    text = VALID.replace("efficientnet-lite0", "no").replace("0.01", "1e-3")
    config = load_text(text)
    assert config.name == "no"
    assert config.gates.max_accuracy_drop == 1e-3


def test_merge_keys_add_what_is_not_given(load_text: Load) -> None:
    text = VALID.replace("preprocess: *pre", "preprocess: {<<: *pre, color: bgr, crop: 128}")
    evaluation = load_text(text).data.evaluation
    assert evaluation is not None
    assert evaluation.preprocess is not None
    assert evaluation.preprocess.color is Color.BGR
    assert evaluation.preprocess.crop == 128
    assert evaluation.preprocess.resize == 256


def test_input_names_may_look_like_anything(load_text: Load) -> None:
    text = VALID.replace("{input: [1, 3, 224, 224]}", "{input.1: [1], 0: [2], yes: [3]}")
    assert load_text(text).model.inputs == {"input.1": (1,), "0": (2,), "yes": (3,)}


def test_options_change_single_values_in_order(load_text: Load) -> None:
    config = load_text(
        VALID,
        [
            "stages.quantize.weights=int8",
            "stages.0.quantize.weights=uint8",
            'model.inputs."input.1"=[1, 8]',
            "io.layout=as-is",
            "data.calibration={random: true, samples: 3}",
            "benchmark=null",
        ],
    )
    options = config.stages[0].quantize
    assert options is not None
    assert options.weights is WeightType.UINT8
    assert config.model.inputs["input.1"] == (1, 8)
    assert config.io.layout == "as-is"
    assert config.data.calibration is not None
    assert config.data.calibration.samples == 3
    assert config.benchmark is None


def test_on_an_emulated_board_keys_that_nobody_wrote_have_defaults_of_their_own(
    load_text: Load,
) -> None:
    written = load_text(VALID, ["benchmark={target: qemu, warmup: 10, min_duration_s: 5}"])
    assert written.benchmark is not None
    counting = written.benchmark.for_counting()
    assert (counting.warmup, counting.min_duration_s) == (10, 5)
    assert (counting.min_runs, counting.repeats) == (3, 1)
    assert (written.benchmark.min_runs, written.benchmark.repeats) == (100, 2)


def test_lists_of_node_names_are_read(load_text: Load) -> None:
    text = VALID.replace(
        "uint8}",
        "uint8, overrides: [{nodes: [conv1, conv2], keep: float}, {nodes: fc, keep: float}]}",
    ).replace("stages:\n", "stages:\n  - prune: {ratio: 0.1, keep: [conv1]}\n")
    config = load_text(text)
    quantize = config.stages[1].options
    assert [override.nodes for override in quantize.overrides] == [("conv1", "conv2"), ("fc",)]
    assert config.stages[0].options.keep == ("conv1",)


def test_devices_by_their_former_name_are_read_with_a_note(load_text: Load) -> None:
    with pytest.warns(RenamedWarning, match="`targets` is called `devices` now"):
        assert load_text(VALID.replace("devices:", "targets:")).devices == ("qcs9075", "sm8650")
    with pytest.warns(RenamedWarning, match="devices"):
        assert load_text(VALID, ["targets=[qcs6490]"]).devices == ("qcs6490",)


def test_precision_rules_by_their_former_name_are_read(load_text: Load) -> None:
    with pytest.warns(RenamedWarning, match="`keep_wide` is called `precision_rules` now"):
        config = load_text(VALID.replace("uint8}", "uint8, keep_wide: false}"))
    assert not config.stages[0].options.precision_rules
    with pytest.warns(RenamedWarning, match="precision_rules"):
        config = load_text(VALID, ["stages.quantize.keep_wide=false"])
    assert not config.stages[0].options.precision_rules
    with pytest.warns(RenamedWarning, match="precision_rules"):
        config = load_text(VALID, ["stages.quantize={keep_wide: false}"])
    assert not config.stages[0].options.precision_rules


def test_a_wrong_device_by_its_former_name_is_told_with_its_line(load_text: Load) -> None:
    text = VALID.replace("devices: [qcs9075, sm8650]", "targets: 7")
    with pytest.warns(RenamedWarning), pytest.raises(ConfigError, match=r":5: devices"):
        load_text(text)
