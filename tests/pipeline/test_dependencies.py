"""What a run depends on: changing one thing runs again exactly what reads it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import numpy_helper
from PIL import Image

import snapq
from snapq import api
from snapq.config import PruneConfig
from snapq.config.schema.stages import STAGE_OPTIONS
from snapq.devices.profiles import PACKAGED
from snapq.evaluation.functions import source_fingerprint
from snapq.pipeline.available import available
from snapq.pipeline.cache import Cache
from snapq.pipeline.evidence import KINDS
from snapq.pipeline.steps import kept
from snapq.stages.artifact import library_versions
from snapq.stages.base import Context, Input, Reads, UndeclaredInputError, stage
from tests.pipeline.conftest import make_project

pytestmark = pytest.mark.slow

QUICK_PACKAGE = ("{golden_samples: 2}", "{golden_samples: 2, optimization_modes: [3]}")
METRIC = "from weights import WEIGHT\n\n\ndef score(outputs, labels):\n    return WEIGHT\n"


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose run reads all there is to read, with that run's cache."""
    folder = make_project(tmp_path_factory.mktemp("finished"))
    (folder / "scores.py").write_text(METRIC)
    (folder / "weights.py").write_text("WEIGHT = 0.25\n")
    stages = (
        "  - prepare: {judge: {tries: 0}}\n"
        "  - prune: {ratio: 0.2, importance: magnitude, repair: false}\n"
        "  - cluster: {clusters: 16}\n"
        "  - quantize: {never_slower: false}\n"
    )
    shutil.copytree(folder / "pictures", folder / "evaluated")
    edit(
        folder / "deploy.yaml",
        ("  - quantize: {}\n", stages),
        ("evaluation: {images: pictures", "evaluation: {images: evaluated"),
        ("metric: top1", "metric: scores:score"),
        ("devices: [qcs9075, sm8650]", "devices: [qcs9075]"),
        ("gates: {max_accuracy_drop: 0.5, npu_nodes: all, min_sqnr_db: 5}", "gates: {}"),
    )
    snapq.run(snapq.load(folder / "deploy.yaml"), runs=folder / "runs")
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "project"))


def repaint(path: Path) -> None:
    Image.fromarray(np.full((32, 32, 3), 9, np.uint8)).save(path)


def reweigh(path: Path) -> None:
    model = onnx.load(path)
    changed = numpy_helper.to_array(model.graph.initializer[0]) * 1.5
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(changed, "w1"))
    onnx.save(model, path)


def reprofile(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = yaml.safe_load((PACKAGED / "qcs9075.yaml").read_text())
    own = project / "device_profiles"
    own.mkdir()
    (own / "qcs9075.yaml").write_text(yaml.safe_dump({**facts, "vtcm_mb": 4, "sources": {}}))
    monkeypatch.setenv("SNAPQ_DEVICE_PROFILES", str(own))


def retool(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = project / "tools" / "onnx-99.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnx\nVersion: 99.0\n")
    monkeypatch.syspath_prepend(str(project / "tools"))
    library_versions.cache_clear()


def option(old: str, new: str) -> Callable[[Path], None]:
    return lambda project: edit(project / "deploy.yaml", (old, new))


def larger(project: Path) -> None:
    resize = "preprocess: &pre {resize: [64, 64],"
    edit(project / "deploy.yaml", ("3, 32, 32]", "3, 64, 64]"), ("preprocess: &pre {", resize))


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    # what is changed, and the first stage that runs again; where none does, the kinds of evidence
    # that are gathered again
    "nothing": (lambda _: None, ""),
    "the model": (lambda project: reweigh(project / "tiny.onnx"), "source"),
    "the model's shapes": (larger, "source"),
    "options of prepare": (
        option("judge: {tries: 0}", "skip: [canonical_gemm], judge: {tries: 0}"),
        "prepare",
    ),
    "passes that are judged": (option("judge: {tries: 0}", ""), "prepare"),
    "options of prune": (option("ratio: 0.2", "ratio: 0.4"), "prune"),
    "options of cluster": (option("clusters: 16", "clusters: 8"), "cluster"),
    "options of quantize": (option("never_slower: false", "activations: uint16"), "quantize"),
    "options of package": (option("golden_samples: 2", "golden_samples: 3"), "package"),
    "a calibration picture": (lambda p: repaint(p / "pictures" / "3.png"), "prune"),
    "fewer calibration samples": (
        option("images: pictures,", "images: pictures, samples: 4,"),
        "prune",
    ),
    "the first picture of evaluation": (lambda p: repaint(p / "evaluated" / "0.png"), "package"),
    "the last picture of evaluation": (
        lambda p: repaint(p / "evaluated" / "7.png"),
        "outputs steps",
    ),
    "a label": (lambda p: edit(p / "labels.csv", ("0.png,0", "0.png,3")), "outputs steps"),
    "the metric": (
        lambda p: edit(p / "scores.py", ("return WEIGHT", "return 0.5")),
        "outputs steps",
    ),
    "a module that the metric imports": (
        lambda p: edit(p / "weights.py", ("0.25", "0.75")),
        "outputs steps",
    ),
    "another metric": (option("metric: scores:score", "metric: top1"), "outputs steps"),
    "the boundary": (option("stages:", "io: {dtype: float}\nstages:"), "prune"),
    "the preprocessing": (option("mean: 127", "mean: 100"), "prune"),
    "the seed": (option("stages:", "seed: 7\nstages:"), ""),
    "the gate of nodes": (option("gates: {}", "gates: {npu_nodes: 0.5}"), "package"),
    "another gate": (option("gates: {}", "gates: {min_sqnr_db: 3}"), ""),
    "the name": (option("name: tiny", "name: other"), ""),
}


def runs_again(project: Path) -> str:
    setting = api.check(snapq.load(project / "deploy.yaml"))
    cache = Cache(project / "runs" / ".cache")
    inputs = available(setting)
    for step, _devices, artifact in kept(setting, inputs, cache):
        if artifact is None:
            return step.name
        inputs = inputs.after(step.index, step.name, artifact)
    kinds = [kind for kind in KINDS if kind.kept and inputs.has(kind.reads)]
    keys = {kind.name: inputs.key(f"evidence {kind.name}", kind.reads) for kind in kinds}
    return " ".join(name for name, key in keys.items() if cache.value(key) is None)


@pytest.mark.npu
@pytest.mark.parametrize("changed", CHANGES)
def test_a_change_runs_again_exactly_what_depends_on_it(project: Path, changed: str) -> None:
    change, again = CHANGES[changed]
    change(project)
    assert runs_again(project) == again


@pytest.mark.npu
def test_facts_of_a_device_run_again_what_reads_devices(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reprofile(project, monkeypatch)
    assert runs_again(project) == "cluster"


@pytest.mark.npu
def test_another_version_of_a_tool_runs_all_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retool(project, monkeypatch)
    try:
        assert runs_again(project) == "source"
    finally:
        library_versions.cache_clear()


@pytest.mark.npu
def test_a_changed_file_of_encodings_runs_quantize_again(project: Path) -> None:
    edit(project / "deploy.yaml", ("never_slower: false", "encodings: given.json"))
    cached = []
    for text in ("{}", "[]"):
        (project / "given.json").write_text(text)
        cached.append(quantize_key(project))
    assert cached[0] != cached[1]


def quantize_key(project: Path) -> str:
    setting = api.check(snapq.load(project / "deploy.yaml"))
    options = next(x.options for x in setting.config.stages if x.name == "quantize")
    reads = stage("quantize").reads(options)
    return available(setting).key("quantize", reads, options)


@pytest.mark.parametrize(
    ("name", "options", "reads"),
    [
        ("prune", {"ratio": 0.3, "importance": "taylor"}, True),
        ("prune", {"ratio": 0.3}, False),
        ("finetune", {}, True),
        ("quantize", {}, False),
    ],
)
def test_what_draws_random_numbers_reads_the_seed(
    name: str, options: dict[str, object], reads: bool
) -> None:
    chosen = STAGE_OPTIONS[name].model_validate(options)
    assert (Input.SEED in stage(name).reads(chosen).all) is reads


@pytest.mark.parametrize("name", STAGE_OPTIONS)
def test_every_stage_of_the_schema_declares_what_it_reads(name: str) -> None:
    options = STAGE_OPTIONS[name].model_construct() if name != "prune" else PruneConfig(ratio=0.3)
    assert Input.PREVIOUS in stage(name).reads(options).needed
    assert callable(stage(name).run)


def test_reading_what_is_not_declared_fails_at_once() -> None:
    context = Context(Reads((Input.SEED,)), {Input.SEED: 3, Input.NPU_SHARE: 0.5})
    assert context.seed == 3
    with pytest.raises(UndeclaredInputError, match="npu_share"):
        context.npu_share  # noqa: B018


@pytest.mark.npu
def test_models_that_differ_in_scales_of_activations_give_two_packages(tmp_path: Path) -> None:
    outputs = []
    project = make_project(tmp_path)
    edit(
        project / "deploy.yaml",
        ("  - quantize: {}\n", ""),
        ("path: tiny.onnx", "path: tiny.qdq.onnx"),
        ("devices: [qcs9075, sm8650]", "devices: [qcs9075]"),
        QUICK_PACKAGE,
        ("max_accuracy_drop: 0.5, npu_nodes: all, min_sqnr_db: 5", ""),
    )
    for scale in (0.02, 0.2):
        onnx.save(with_activation_scale(project / "tiny.onnx", scale), project / "tiny.qdq.onnx")
        done = snapq.run(snapq.load(project / "deploy.yaml"), runs=project / "runs")
        assert [s.name for s in done.record.stages] == ["source", "prepare", "repair", "package"]
        scales = {e.tensor: e.scale for e in done.record.encodings if e.kind == "activation"}
        assert np.isclose(list(scales.values()), scale).any()
        outputs.append((done.folder / "bundle" / "model.onnx").read_bytes())
    assert outputs[0] != outputs[1]


def with_activation_scale(path: Path, scale: float) -> onnx.ModelProto:
    """The model with Q/DQ of this scale behind its first Relu."""
    model = onnx.load(path)
    graph = model.graph
    model.opset_import[0].version = 13
    for node in graph.node:
        node.input[:] = ["r1_dq" if name == "r1" else name for name in node.input]
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.float32(scale), "r1_scale"),
            numpy_helper.from_array(np.uint8(0), "r1_zero"),
        ]
    )
    pair = [
        onnx.helper.make_node("QuantizeLinear", ["r1", "r1_scale", "r1_zero"], ["r1_q"], "q"),
        onnx.helper.make_node("DequantizeLinear", ["r1_q", "r1_scale", "r1_zero"], ["r1_dq"], "dq"),
    ]
    for place, node in enumerate(pair):
        graph.node.insert(2 + place, node)
    return model


@pytest.mark.npu
def test_an_edited_metric_module_gives_its_new_score(project: Path) -> None:
    def score() -> tuple[float, bool]:
        done = snapq.run(snapq.load(project / "deploy.yaml"), runs=project / "runs")
        return done.record.accuracy[-1].value, all(s.cached for s in done.record.stages)

    assert score() == (0.25, True)
    (project / "weights.py").write_text("WEIGHT = 0.75\n")  # a module that the metric imports
    assert score() == (0.75, True)
    (project / "scores.py").write_text("def score(outputs, labels):\n    return 0.5\n")
    assert score() == (0.5, True)


def test_a_function_counts_by_its_module_and_the_local_modules_it_imports(tmp_path: Path) -> None:
    (tmp_path / "pack" / "deep").mkdir(parents=True)
    files = {
        "first.py": "import pack.deep.leaf\ndef f():\n    from second import X\n",
        "second.py": "import importlib\nX = importlib.import_module('third')\n",
        "third.py": "import json, numpy\nimport_module(name='fourth')\n",
        "fourth.py": "import_module('.by_name', 'pack')\n",
        "pack/by_name.py": "import_module('.deep.leaf', package=__package__)\n",
        "pack/__init__.py": "",
        "pack/deep/__init__.py": "",
        "pack/deep/leaf.py": "from ..near import Y\n",
        "pack/near.py": "Y = 1\n",
        "other.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "__init__.py").touch()  # is not what runs
    before = source_fingerprint("first:f", tmp_path)
    counted = set()
    for name, text in files.items():
        (tmp_path / name).write_text(text + "# edited\n")
        if source_fingerprint("first:f", tmp_path) != before:
            counted.add(name)
        (tmp_path / name).write_text(text)
    assert counted == set(files) - {"other.py"}
