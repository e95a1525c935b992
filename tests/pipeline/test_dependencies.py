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
from snapq.devices.profiles import PACKAGED
from snapq.stages.artifact import library_versions
from tests.pipeline.conftest import make_project

STAGES = ("source", "prepare", "prune", "cluster", "quantize", "package")
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
        ("targets: [qcs9075, sm8650]", "targets: [qcs9075]"),
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


CHANGES: dict[str, tuple[Callable[[Path], None], str | None]] = {
    # what is changed, and the first stage that runs again
    "nothing": (lambda _: None, None),
    "the model": (lambda project: reweigh(project / "tiny.onnx"), "source"),
    "the model's shapes": (option("[1, 3, 32, 32]", "[2, 3, 32, 32]"), "source"),
    "options of prepare": (option("stages:", "stages:\n  - prepare: {skip: [fold_constants]}"), ""),
    "options of prune": (option("ratio: 0.2", "ratio: 0.4"), "prune"),
    "options of cluster": (option("clusters: 16", "clusters: 8"), "cluster"),
    "options of quantize": (option("never_slower: false", "activations: uint16"), "quantize"),
    "options of package": (option("golden_samples: 2", "golden_samples: 3"), "package"),
    "a calibration picture": (lambda p: repaint(p / "pictures" / "3.png"), "prune"),
    "another calibration": (option("images: pictures,", "images: pictures, samples: 4,"), "prune"),
    "the first picture of evaluation": (lambda p: repaint(p / "evaluated" / "0.png"), "package"),
    "a later picture of evaluation": (lambda p: repaint(p / "evaluated" / "7.png"), None),
    "a label": (lambda p: edit(p / "labels.csv", ("0.png,0", "0.png,3")), None),
    "the metric": (lambda p: edit(p / "scores.py", ("return", "return 0.5 +")), None),
    "the boundary": (option("stages:", "io: {inputs: {image: {layout: nchw}}}\nstages:"), "prune"),
    "the preprocessing": (option("mean: 127", "mean: 100"), "prune"),
    "the seed": (option("stages:", "seed: 7\nstages:"), None),
    "the gate of nodes": (option("gates: {}", "gates: {npu_nodes: 0.5}"), "package"),
    "another gate": (option("gates: {}", "gates: {min_sqnr_db: 3}"), None),
    "the name": (option("name: tiny", "name: other"), None),
}


def runs_again(project: Path) -> str | None:
    plan = snapq.plan(snapq.load(project / "deploy.yaml"), runs=project / "runs")
    return next((stage.name for stage in plan.stages if not stage.cached), None)


@pytest.mark.parametrize("changed", CHANGES)
def test_a_change_runs_again_exactly_what_depends_on_it(project: Path, changed: str) -> None:
    change, first = CHANGES[changed]
    if first == "":
        pytest.skip("see below")
    change(project)
    assert runs_again(project) == first
