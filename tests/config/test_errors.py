"""Every mistake is told with its line, its key and its hint, and all of them at once."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from snapq.benchmarking.targets.resolve import resolve_target
from snapq.config.reading import load
from snapq.config.reading.checks import BENCHMARK_TARGETS
from snapq.errors import ConfigError
from snapq.evaluation.metrics import metric
from snapq.evaluation.scores import MAKERS
from snapq.metric_table import METRICS
from tests.config.conftest import VALID, Load

# What is replaced in the valid file, by what, where the error stands, and words it must have.
MISTAKES = [
    ("devices: [qcs9075, sm8650]", "device: [a]", ":5: device", "Did you mean `devices`?"),
    ("devices: [qcs9075, sm8650]\n", "", ":1: devices", "The key `devices` is missing."),
    ("devices: [qcs9075, sm8650]", "devices: sm8650", ":5: devices", "[sm8650]"),
    ("devices: [qcs9075, sm8650]", "devices: []", ":5: devices", "one or more texts"),
    ("name: eff", "targets: [a]\nname: eff", ":1: targets", "Give `devices` alone."),
    ("[qcs9075, sm8650]", "[sm8650, SM8650]", ":5: devices.1", "named twice"),
    ("name: efficientnet-lite0", "name: 5", ":1: name", "Put quotes around it."),
    ("name: efficientnet-lite0", "name: a/b", ":1: name", "letters, digits"),
    ("name: efficientnet-lite0", "name: &a [*a]", ":1: name", "nested too deeply"),
    ("name: efficientnet-lite0", "name: !!python/object:os.system x", ":1: name", "tag"),
    ("samples: 64", "samples: true", ":7: data.calibration.samples", "an integer above 0"),
    ("samples: 64", "samples: '64'", ":7: data.calibration.samples", "Write 64"),
    ("samples: 64", "samples: 064", ":7: data.calibration.samples", "Write 64"),
    ("samples: 64", "samples: 1_000", ":7: data.calibration.samples", "Write 1000"),
    ("samples: 64", "samples: .inf", ":7: data.calibration.samples", "not a finite number"),
    ("samples: 64", "samples: " + "9" * 5000, ":7: data.calibration.samples", "too large"),
    ("samples: 64", "random: true", ":7: data.calibration", "images and random"),
    ("[1, 3, 224, 224]", "[-1, 3, 224, 224]", ":4: model.inputs.input.0", "number -1"),
    ("[1, 3, 224, 224]", "[batch, 3, 9, 9]", ":4: model.inputs.input.0", "the package takes"),
    ("resize: 256", "resize: [9, -9]", ":7: data.calibration.preprocess.resize.1", "above 0"),
    ("resize: 256", "resize: [1, 2, 3]", ":7: data.calibration.preprocess.resize", "list of 2"),
    ("mean: 127", "mean: [1, 2]", ":7: data.calibration.preprocess", "3 channels"),
    ("mean: 127", "mean: [1, a, 3]", ":7: data.calibration.preprocess.mean.1", "a number"),
    ("[128, 128, 128]", "0", ":7: data.calibration.preprocess.std", "above 0"),
    ("int8, act", "int9, act", ":11: stages.0.quantize.weights", "Did you mean `int8`?"),
    ("int8, act", "bool, act", ":11: stages.0.quantize.weights", "`int8`, `uint8`"),
    ("weights: int8", "per_channel: yes", ":11: stages.0.quantize.per_channel", "true or false"),
    (
        "int8, act",
        "int8, observer: mes, act",
        ":11: stages.0.quantize.observer",
        "Did you mean `mse`",
    ),
    (
        "int8, act",
        "int8, observer: {percentil: 99}, act",
        ":11: stages.0.quantize.observer.percentil",
        "Did you mean `percentile`?",
    ),
    (
        "int8, act",
        "int8, observer: {percentile: 20}, act",
        ":11: stages.0.quantize.observer.percentile",
        "above 50 and up to 100",
    ),
    ("int8, act", "int4, block: 32, act", ":11: stages.0.quantize", "activations: uint16"),
    ("int8, act", "int4, block: 30, act", ":11: stages.0.quantize.block", "`32`, `64`"),
    (
        "- package:  {}",
        "- clustr: {}",
        ":12: stages.1.clustr",
        "Did you mean `cluster`?",
    ),
    ("- package:  {}", "- prune: {ratio: 1.5}", ":12: stages.1.prune.ratio", "above 0 and below 1"),
    ("- package:  {}", "- prune: {}", ":12: stages.1.prune", "Give `ratio` or `target`"),
    ("- package:  {}", "- prune:", ":12: stages.1", "prune: Give `ratio` or `target`"),
    ("- package:  {}", "- packge: {}", ":12: stages.1.packge", "Did you mean `package`?"),
    ("- package:  {}", "- package", ":12: stages.1", "Write `package: {}`."),
    ("- package:  {}", "- {prepare: {}, package: {}}", ":12: stages.1", "one stage"),
    ("- package:  {}", "- quantize: {}", ":12: stages.1.quantize", "twice"),
    ("- package:  {}", "- prepare: {}", ":12: stages.1.prepare", "Put it first"),
    ("  - quantize", "  - package: {}\n  - quantize", ":11: stages.0.package", "Put it last"),
    ("metric: top1", "metric: top2", ":9: metric", "Metrics are top1"),
    ("metric: top1", "metric: topone", ":9: metric", "Did you mean `top1`?"),
    ("metric: top1\n", "", ":12: gates.max_accuracy_drop", "needs a metric"),
    ("labels: data/val.csv, ", "", ":8: data.evaluation", "needs labels"),
    ("  - package:  {}\n", "", ":12: gates.min_estimated_speedup", "`package`"),
    ("npu_nodes: all", "npu_nodes: 2", ":13: gates.npu_nodes", "`all` or a number from 0 to 1"),
    ("npu_nodes: all", "npu_nodes: {a: 2}", ":13: gates.npu_nodes.a", "from 0 to 1"),
    (
        "npu_nodes: all",
        "max_latency_ms: {p51: 2}",
        ":13: gates.max_latency_ms.p51",
        "Keys here: p50",
    ),
    ("npu_nodes: all", "max_latency_ms: {}", ":13: gates.max_latency_ms", "at least one of p50"),
    ("npu_nodes: all", "min_sqnr_db: {}", ":13: gates.min_sqnr_db", "without any entry"),
    ("npu_nodes: all", "max_instructions: 5", ":13: gates.max_instructions", "max_latency_ms"),
    ("target: local", "target: htp-sim", ":14: benchmark.target", "times mean nothing"),
    ("metric: top1", "metric: top1\nmetric: top5", ":10: metric", "first on line 9"),
    ("model.onnx", "$SNAPQ_NOT_SET", ":3: model.path", "SNAPQ_NOT_SET is not set"),
    ("model.onnx", "''", ":3: model.path", "The path is empty."),
    ("model.onnx", "5", ":3: model.path", "Put quotes around it."),
    ("model.onnx", "a$", ":3: model.path", "Write ${NAME}"),
    ("model.onnx", "~nobody-has-this-name/m", ":3: model.path", "no user"),
    ("model.onnx", '"a\\0b"', ":3: model.path", "invisible character"),
    ("model.onnx", '"\\ud800"', ":3: model.path", "Unicode"),
    ("images: data/val", "images: ${HOME}/val", ":8", "Put quotes"),
    ("  path: model.onnx", "\tpath: model.onnx", ":3", "Use spaces."),
    ("metric: top1", "metric: [top1", ":10", "not YAML"),
    ("metric: top1", "---", ":9", "several YAML documents"),
    ("metric: top1", "metric: \x07", ":9", "U+0007"),
    ("*pre}", "*par}", ":8", "undefined alias"),
]


@pytest.mark.parametrize(("old", "new", "where", "words"), MISTAKES)
def test_a_mistake_is_told_where_it_stands(
    load_text: Load, tmp_path: Path, old: str, new: str, where: str, words: str
) -> None:
    assert old in VALID
    with pytest.raises(ConfigError) as caught:
        load_text(VALID.replace(old, new, 1))
    assert caught.value.where == f"{tmp_path / 'deploy.yaml'}{where}"
    assert words in f"{caught.value.what} {caught.value.hint}"
    assert "pydantic" not in str(caught.value)


def test_a_gate_of_time_is_refused_where_only_instructions_are_counted(load_text: Load) -> None:
    text = VALID.replace("npu_nodes: all", "max_latency_ms: 5").replace(
        "target: local", "target: qemu"
    )
    with pytest.raises(ConfigError, match="Use max_instructions with the target `qemu`"):
        load_text(text)
    nowhere = text.replace("benchmark: {target: qemu", "#")
    with pytest.raises(ConfigError, match="`benchmark` is not given"):
        load_text(nowhere)


def test_all_problems_are_told_together_in_the_order_of_the_file(load_text: Load) -> None:
    text = VALID.replace("name:", "nmae:").replace("int8, ", "int9, ").replace("top1", "$NOT_SET")
    with pytest.raises(ConfigError) as caught:
        load_text(text)
    errors = [caught.value, *caught.value.also]
    keys = [error.where.rsplit(": ", 1)[1] for error in errors if error.where]
    assert keys == ["nmae", "metric", "stages.0.quantize.weights"]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_mistake_in_a_shared_anchor_is_told_once(load_text: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(VALID.replace("crop: 224", "crop: 0"))
    assert caught.value.also == ()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("stages.quantize.weights=int9", "Did you mean `int8`?"),
        ("stages.7.quantize={}", "Its entries are 0 to 1 (quantize, package)."),
        ("metric", "Write --set KEY.PATH=VALUE"),
        ("=1", "Write --set KEY.PATH=VALUE"),
        ("model.path.more=1", "is a value"),
        ("name=[", "not YAML"),
        ("nothing=1", "Unknown key `nothing`."),
    ],
)
def test_a_mistake_in_an_option_names_the_option(load_text: Load, option: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(VALID, [option])
    assert caught.value.where == f"--set {option}"
    assert words in str(caught.value)


def test_what_is_no_configuration_file_is_refused_with_the_way_on(tmp_path: Path) -> None:
    model, utf16, empty = tmp_path / "m.onnx", tmp_path / "a.yaml", tmp_path / "e.yaml"
    model.write_bytes(b"\x08\xff\xfe")
    utf16.write_bytes("name: x".encode("utf-16"))
    empty.write_text("# nothing\n")
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "large.yaml").write_text("#" * 2_000_000)
    for path, words in [
        (tmp_path, "This is a folder."),
        (tmp_path / "none.yaml", "snapq init MODEL.onnx"),
        (model, "snapq init"),
        (utf16, "Save it as UTF-8."),
        (empty, "The file is empty."),
        (tmp_path / "list.yaml", "not `key: value` lines"),
        (tmp_path / "large.yaml", "larger than 1 MiB"),
        (tmp_path / "a\0b", "cannot be read"),
    ]:
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert caught.value.where == str(path)
        assert words in str(caught.value)


def test_aliases_that_multiply_without_end_are_refused(load_text: Load) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(ConfigError, match="too many values"):
        load_text("\n".join(lines))


def test_the_metrics_and_targets_that_are_offered_exist() -> None:
    assert METRICS.keys() == MAKERS.keys()
    for name in METRICS:
        assert metric(name).name == name
    for name in BENCHMARK_TARGETS:
        assert resolve_target(name).name == name
