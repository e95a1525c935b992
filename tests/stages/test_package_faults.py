"""A bundle never holds values of the NPU that are wrong without a word."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from snapq.bundle import ENCODINGS
from snapq.bundle.read import Bundle
from snapq.config import Gates, Io, PackageConfig
from snapq.devices.profiles import find
from snapq.errors import QnnError
from snapq.evaluation.samples import Sample
from snapq.graph import io
from snapq.graph.boundary import plan
from snapq.graph.shapes import input_specs
from snapq.pipeline.gates import Evaluated, check
from snapq.progress import Silent
from snapq.quantization.quantize import Scheme, quantize
from snapq.records import AgreementRecord, Figures
from snapq.stages.package.build import Built, build
from snapq.stages.package.job import PackageJob
from snapq.storage import write_json
from tests.quantization.agreement import models
from tests.quantization.odd_models import Builder, feeds

CONFIG = PackageConfig(golden_samples=2, optimization_modes=(2,))


def built(
    model: ir.Model, feeds: models.Feeds, folder: Path, precision: str, device: str = "qcs9075"
) -> Built:
    """The bundle of a model."""
    io.save(model, folder / "source.onnx")
    write_json(folder / ENCODINGS, [])
    job = PackageJob(
        model=folder / "source.onnx",
        precision=precision,
        encodings=None if precision == "float" else folder / ENCODINGS,
        devices=[find(device)],
        plan=plan(input_specs(model), Io(), {}),
        samples=[Sample(name=str(i), feeds=feed) for i, feed in enumerate(feeds)],
        float_model=None,
        npu_share=1.0,
        random_inputs=False,
    )
    return build(job, CONFIG, folder / "bundle", Silent())


@pytest.mark.npu
@pytest.mark.slow
def test_a_given_model_is_packaged_with_what_helps(tmp_path: Path) -> None:
    model, feeds = models.gated()
    made = built(model, feeds, tmp_path, "w8a16")
    (reloaded,) = made.reloads
    assert reloaded.verdict.fault is None
    assert reloaded.golden == "golden/v73"
    assert [one.finding.faulty for one in reloaded.findings] == [False]
    assert any("'product' (Mul) (with second, gate) wrongly" in note for note in made.notes)
    assert made.mended is not None
    (own,) = json.loads((tmp_path / "bundle" / ENCODINGS).read_text(encoding="utf-8"))[:1]
    assert own["dtype"] == "uint16"
    assert Bundle.open(tmp_path / "bundle").device("qcs9075").fault is None


@pytest.mark.npu
def test_what_nothing_helps_is_in_the_manifest_and_has_no_golden_outputs(tmp_path: Path) -> None:
    model, feeds = models.overflowing_norm()
    made = built(model, feeds, tmp_path, "float")
    (reloaded,) = made.reloads
    assert (reloaded.golden, reloaded.verdict.node) == (None, "squares")
    bundle = Bundle.open(tmp_path / "bundle")
    target = bundle.device("qcs9075")
    assert target.golden is None
    assert target.fault is not None
    assert "node 'squares' (Mul)" in target.fault
    assert [path.name for path in (tmp_path / "bundle" / "golden").iterdir()] == ["inputs"]
    assert any("gates.npu_matches_cpu: false" in note for note in made.notes)


@pytest.mark.npu
def test_what_stays_in_float_is_named_on_a_device_without_float(tmp_path: Path) -> None:
    b = Builder()
    parts = b.add("Sin", b.feed("x", 1, 4, 16, 16)), b.feed("boxes", 2, 4)
    model = b.model(b.add("RoiAlign", *parts, np.zeros(2, np.int64)))
    given = feeds(model, 1)
    quantized = quantize(model, given, Scheme(architecture=68, float16=False)).model
    named = r"RoiAlign node_roialign_1 is in float, which this NPU lacks: snapq knows no integer"
    with pytest.raises(QnnError, match=f"qcs6490: {named}"):
        built(quantized, given, tmp_path, "w8a8", "qcs6490")


def agreement(**changed: object) -> AgreementRecord:
    """A record of an output that is 4 dB on the NPU and 43 on the CPU."""
    values: dict[str, object] = {
        "label": "w8a16",
        "device": "qcs9075",
        "output": "y",
        "node": "gate",
        "npu_sqnr_db": 4.0,
        "cpu_sqnr_db": 43.0,
        "agreement_db": 4.1,
        "samples": 4,
        "finding": "apart",
        "failed": True,
    }
    return AgreementRecord.model_validate({**values, **changed})


def test_a_run_fails_where_the_npu_is_wrong_unless_that_is_accepted() -> None:
    wrong = Evaluated(Figures(agreement=(agreement(),)), [find("qcs9075")], "w8a16")
    (gate,) = check(Gates(), wrong)
    assert (gate.name, gate.passed) == ("npu_matches_cpu", False)
    assert gate.found == "4.0 dB simulated, 43.0 dB on the CPU at y on qcs9075, first at node gate"
    assert check(Gates(npu_matches_cpu=False), wrong) == ()


def test_the_gate_is_shown_where_it_is_asked_for() -> None:
    right = agreement(finding="agrees", failed=False, node=None)
    evaluated = Evaluated(Figures(agreement=(right,)), [find("qcs9075")], "w8a16")
    assert check(Gates(), evaluated) == ()
    assert [gate.passed for gate in check(Gates(npu_matches_cpu=True), evaluated)] == [True]
