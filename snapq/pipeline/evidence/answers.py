"""Equal answers of a classical model on every architecture that it is compiled for.

The first device is simulated together with the other comparisons of outputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from snapq.classical.ensemble import Ensemble
from snapq.classical.model import ClassicalModel
from snapq.classical.program.answers import Answers
from snapq.cpu import CpuModel
from snapq.devices.profiles import DeviceProfile
from snapq.evaluation.samples import Dataset, Sample
from snapq.graph import io
from snapq.graph.classical import classes
from snapq.npu.model import Model
from snapq.pipeline.evidence.base import Evidence, Found, Subject
from snapq.records import AnswersRecord, Figures, Origin
from snapq.stages.base import Input, Reads

if TYPE_CHECKING:
    Outputs = Mapping[str, np.ndarray]


def gather(subject: Subject) -> Found:
    """Simulates the package of each further architecture on all rows of evaluation."""
    data, packaged, bundle = subject.evaluation, subject.packaged, subject.bundle
    assert packaged is not None
    assert bundle is not None
    if data is None:
        return Found()
    found: list[AnswersRecord] = []
    for device in _further(subject):
        answers, plan = RowAnswers(subject), subject.package_boundary
        npu = Model(packaged.compiled_model(bundle, device.name), device)
        with subject.progress.track(f"Simulate {device.name}", len(data)) as advance:
            results = npu.simulate(map(plan.package_feeds, data), progress=advance)
            for sample, result in zip(data, results, strict=True):
                answers.outputs(sample, plan.package_outputs(result))
        found += answers.records(data, Origin.SIMULATED, device.name)
    return Found(Figures(answers=tuple(found)))


def _further(subject: Subject) -> Iterator[DeviceProfile]:
    """One device of each architecture but the first device's."""
    seen = {subject.device.architecture}
    for device in subject.devices:
        if device.architecture not in seen:
            seen.add(device.architecture)
            yield device


class RowAnswers:
    """The answers of a classical model: as given, and with head and tail around the NPU's part."""

    def __init__(self, subject: Subject) -> None:
        assert subject.host is not None
        assert subject.whole is not None
        self._label, self._host = subject.label, subject.host.host
        self._given = CpuModel(subject.whole.model)
        model = io.load(subject.whole.model)
        self.classes = classes(model)
        """The model's classes, where it says them."""
        self._answers = Answers()
        self._rounded: Counter[str] = Counter()
        read = ClassicalModel.read(model)
        trees = any(isinstance(one.form, Ensemble) for one in read.estimators)
        self._exact = None if trees else read

    def outputs(self, sample: Sample, result: Outputs) -> dict[str, Outputs]:
        """Both, for a batch of rows and what the part on the NPU gave for it."""
        given = self._given.run(sample.beside)
        found = self._host.decode(sample.beside, result)
        rows = sample.rows or len(next(iter(given.values())))
        self._answers.update(given, found, rows)
        self._count_rounded(sample, given, found, rows)
        return {"float": given, self._label: found}

    def _count_rounded(self, sample: Sample, given: Outputs, found: Outputs, rows: int) -> None:
        """Counts labels that differ because ONNX Runtime's own sums, in float32, are off.

        Of features that are large beside what they vary by it adds up numbers of millions, and a
        decision is what is left of them; what is computed in float64 has the label that was found.
        """
        labels = [name for name, value in given.items() if value.dtype.kind != "f"]
        other = {
            name: (given[name][:rows] != found[name][:rows]).reshape(rows, -1).any(axis=1)
            for name in labels
        }
        if self._exact is None or not any(one.any() for one in other.values()):
            return
        exact = self._exact.run(sample.beside)
        for name, differs in other.items():
            same = (exact[name][:rows] == found[name][:rows]).reshape(rows, -1).all(axis=1)
            self._rounded[name] += int((differs & same).sum())

    def records(self, data: Dataset, where: Origin, device: str | None) -> Iterator[AnswersRecord]:
        """How many answers are equal, output by output."""
        for name, one in self._answers.outputs.items():
            yield AnswersRecord(
                label=self._label,
                output=name,
                labels=one.labels,
                rows=one.rows,
                equal=one.equal,
                ties=one.ties,
                rounded=min(self._rounded[name], one.rows - one.equal - one.ties),
                largest=one.largest,
                range=one.range,
                sqnr_db=one.sqnr_db,
                dataset=data.description,
                where=where,
                device=device,
                random_inputs=data.random,
            )


EVIDENCE = Evidence(
    "answers",
    Reads(
        (Input.HOST, Input.WHOLE, Input.PACKAGE, Input.EVALUATION, Input.DEVICES, Input.BOUNDARY),
        (Input.QUANTIZED,),
    ),
    gather,
)
