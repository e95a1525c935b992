"""The facade to Qualcomm's compiler, estimate and simulator: one model and the NPU it is for.

Nothing else writes temporary files for them, chooses 16-bit floating point, optimization modes and
stride tricks, or decides what an answer depends on and how long it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx_ir as ir

from snapq.cluster.connection import Cluster
from snapq.cluster.current import current
from snapq.devices.profiles import DeviceProfile, nearest_with_estimate
from snapq.errors import DeviceError, QnnError, SnapqError
from snapq.npu.judged import thin_strides
from snapq.npu.judged.rewrites import PLAIN, Form, possible, rewritten
from snapq.npu.judged.search import (
    Chosen,
    Costs,
    Found,
    WholeFigures,
    fastest,
    side_by_side,
)
from snapq.npu.memory import Memory
from snapq.npu.qnn import compile as compiler
from snapq.npu.qnn import dlc, estimate, multi_soc, node_estimates, placement, simulate
from snapq.npu.qnn.compile import Candidate, Compiled
from snapq.npu.qnn.compile_job import CONTEXT_NAME
from snapq.npu.qnn.feeds import Feed, Outputs
from snapq.npu.qnn.node_estimates import NodeEstimates
from snapq.npu.qnn.options import CompileOptions, Variants
from snapq.npu.qnn.placement import Placement
from snapq.npu.sources import Deferred, Source
from snapq.npu.there import Wanted, compile_there
from snapq.progress import Advance
from snapq.records import EstimateRecord
from snapq.storage import atomic_folder

__all__ = [
    "CONTEXT_NAME",
    "Candidate",
    "Compilation",
    "CompileOptions",
    "Deferred",
    "Memory",
    "Model",
    "NodeEstimates",
    "Placement",
    "Source",
    "Variants",
]

_ONE_WORKER_UP_TO = 8
"""So few samples are done sooner than a second worker has compiled the model."""


@dataclass(frozen=True)
class Compilation:
    """A compiled model, and how it came to be.

    Attributes:
        files: what was written.
        options: the set of options that was kept.
        tried: every set of options that was tried, with its estimate.
        estimate: of this device, or of the nearest that has one; None where there is none.
        no_estimate: why there is none.
        form: the form of the model that was compiled.
        judged: how its rewrites were found; None where none was tried.
    """

    files: Compiled
    options: CompileOptions
    tried: tuple[Candidate, ...]
    estimate: EstimateRecord | None
    no_estimate: str | None
    form: Form = PLAIN
    judged: Found | None = None


class Model:
    """A model and the NPU that it is estimated, placed, simulated or compiled for.

    Floating-point nodes compute in 16 bits where the device can: that changes nothing for nodes
    that are quantized, and without it a float node does not run on the NPU.

    Args:
        source: the path of an ONNX file with fixed shapes (Q/DQ, float or compiled), a model in
            memory (left as it is), or one that is made when it is needed.
        device: the device.
        variants: the ways of compiling of which the fastest by the estimate counts.
        memory: what is known already; answers are kept there.
        form: the form to take; found by estimates where None.

    What the methods raise:
        ModelError: the model cannot be read or has dynamic shapes.
        DeviceError: the device cannot do what is asked, or no device with an estimate can.
        QnnError: the model cannot be compiled for the NPU, or Qualcomm's runtime failed.
        InstallError, ConfigError, StorageError: the runtime, an option, or the disk is at fault.
    """

    def __init__(
        self,
        source: Path | ir.Model | Deferred | Source,
        device: DeviceProfile,
        *,
        variants: Variants | None = None,
        memory: Memory | None = None,
        form: Form | None = None,
    ) -> None:
        self._source = source if isinstance(source, Source) else Source(source)
        self.device = device
        self.variants = variants or Variants()
        self._memory = memory or Memory()
        self._given_form = form
        self._whole = WholeFigures()

    @cached_property
    def judged(self) -> Found | None:
        """Which rewrites make the model faster; None where none is possible, or to be tried."""
        if self._given_form is not None or self.variants.tries < 2 or self.compiled:
            return None
        names = possible(self._source.model)
        return fastest(names, self._costs, self.variants.tries) if names else None

    @cached_property
    def form(self) -> Form:
        """The form in which the model is fastest: with rewrites, and convolutions thinned out."""
        if self._given_form is not None:
            return self._given_form
        rewrites = self.judged.chosen if self.judged is not None else ()
        if not self.variants.thin_strides:
            return Form(rewrites)
        names = thin_strides.strided(rewritten(self._source.model, Form(rewrites)))
        thinned = thin_strides.choose(
            names, lambda thin: self._fastest(Form(rewrites, thin)).cycles
        )
        return Form(rewrites, thinned)

    @property
    def model(self) -> ir.Model:
        """The model in memory."""
        return self._source.model

    @property
    def compiled(self) -> bool:
        """Whether it was compiled already."""
        return self._source.compiled

    @property
    def quantized(self) -> bool:
        """Whether it holds Q or DQ nodes."""
        return self._source.quantized

    def estimate(self, label: str = "") -> EstimateRecord:
        """Qualcomm's estimate of the fastest variant; every node must run on the NPU.

        Where the device has no estimate, `estimated_on` names the device of the nearest
        architecture that has one and whose figure this is.

        Args:
            label: what is estimated, for the record.
        """
        found = self._fastest(self.form)
        return found.model_copy(update={"label": label, "device": self.device.name})

    def estimate_nodes(self, label: str = "") -> NodeEstimates:
        """Qualcomm's estimate of the model as it is, and which part of it each node takes."""
        options = CompileOptions(fp16=self._fp16)

        def make() -> dict[str, object]:
            found = node_estimates.estimate_nodes(self._source.path(), self.device, options)
            return {"total": found.total.to_json(), "cycles": dict(found.cycles)}

        def read(kept: dict[str, Any]) -> NodeEstimates:
            named = {**kept["total"], "label": label, "device": self.device.name}
            cycles = {name: float(value) for name, value in kept["cycles"].items()}
            return NodeEstimates(EstimateRecord.model_validate(named), cycles)

        return self._memory.recall("nodes", self._parts(PLAIN, options), make, read)

    def place(self, processor_s: float | None = None) -> Placement:
        """Which node runs where, and why; what the NPU refuses may run on the CPU.

        Args:
            processor_s: seconds of processor time after which Qualcomm's runtime is stopped.
        """
        # Placement is the same in each mode, and the first is the quickest.
        options = CompileOptions(optimization_mode=1, fp16="fp16" in self.device.precisions)
        return placement.place(self._source.path(), self.device, options, processor_s=processor_s)

    def simulate(
        self,
        feeds: Iterable[Feed],
        *,
        options: CompileOptions | None = None,
        allow_cpu: bool = False,
        progress: Advance | None = None,
    ) -> Iterator[Outputs]:
        """Runs a model on the simulator of the device's NPU: values exact, never a time.

        Args:
            feeds: for each inference an array for each input, of exactly its shape and type.
            options: how to compile a model that is not compiled yet.
            allow_cpu: let nodes that the NPU refuses run on the CPU.
            progress: told after each inference.

        Yields:
            For each feed, in order, every output by name.

        Raises:
            DataError: a feed lacks an input, has one too many, or one of a wrong shape or type.
        """
        few = isinstance(feeds, Sized) and len(feeds) <= _ONE_WORKER_UP_TO
        found = simulate.simulate(
            self._source.path(),
            self.device,
            feeds,
            workers=1 if few and not self._source.compiled else None,
            options=options or CompileOptions(fp16=self._fp16),
            allow_cpu=allow_cpu,
            progress=progress,
        )
        return self._while_needed(found)

    def simulator(self) -> AbstractContextManager[Callable[[Feed], Outputs]]:
        """A function that simulates one feed, for feeds that depend on earlier outputs."""
        options = CompileOptions(fp16=self._fp16)
        return simulate.simulator(self._source.path(), self.device, options=options)

    def compile(
        self, folder: Path, *, label: str = "", embed: bool = False, allow_cpu: bool = False
    ) -> Compilation:
        """Compiles each variant, keeps the fastest by the estimate, and checks that it loads.

        Where the device has no estimate, the first variant that compiles is kept.

        Args:
            folder: the folder to write; what was there is replaced as a whole, or not at all.
            label: what is compiled, for the record of the estimate.
            embed: put the binary inside the ONNX file.
            allow_cpu: leave nodes that the NPU refuses in the ONNX file, for the CPU.
        """
        cluster = current()
        if cluster is not None:
            return self._compile_there(cluster, folder, label, embed=embed, allow_cpu=allow_cpu)
        form, judged = self._form_to_compile()
        best = compiler.compile_best(
            self._source.path(form),
            self.device,
            folder,
            self.variants.options(fp16=self._fp16),
            embed=embed,
            allow_cpu=allow_cpu,
            label=label,
        )
        self._remember(best.candidates, form)
        chosen = next(tried for tried in best.candidates if tried.chosen)
        figure, reason = best.compiled.estimate, None
        if figure is None:
            plain = CompileOptions(chosen.options.optimization_mode, fp16=chosen.options.fp16)
            try:
                figure = self._estimated(plain, form)
                figure = figure.model_copy(update={"label": label, "device": self.device.name})
            except (DeviceError, QnnError) as error:
                if error.transient:
                    raise
                reason = str(error)
        return Compilation(
            best.compiled, chosen.options, best.candidates, figure, reason, form, judged
        )

    def _compile_there(
        self, cluster: Cluster, folder: Path, label: str, *, embed: bool, allow_cpu: bool
    ) -> Compilation:
        """Compiles on a cluster, where the same comes of it."""
        wanted = Wanted(self.device, self.variants, label, embed, allow_cpu, self._given_form)
        with atomic_folder(folder) as made:
            found = compile_there(cluster, _compile_file, self._source.path(), wanted, made)
        self._remember(found.tried, found.form)
        files = found.files
        binaries = tuple(folder / path.name for path in files.binaries)
        return replace(
            found, files=replace(files, model=folder / files.model.name, binaries=binaries)
        )

    def _remember(self, candidates: Sequence[Candidate], form: Form) -> None:
        """Keeps the estimates of what was compiled."""
        for tried in candidates:
            if tried.estimate is not None and tried.options.vtcm_mb is None:
                parts = self._parts(form, tried.options)
                read = EstimateRecord.model_validate
                self._memory.recall("estimate", parts, tried.estimate.to_json, read)

    def export_dlc(self, out: Path) -> Path:
        """Writes the model as one DLC file, as Qualcomm's own tools read it."""
        return dlc.export_dlc(
            self._source.path(), self.device, out, CompileOptions(fp16=self._fp16)
        )

    def compile_container(self, devices: Sequence[DeviceProfile], folder: Path) -> Path:
        """Compiles one container for several devices into `folder`; returns the file to load."""
        fp16 = all("fp16" in device.precisions for device in devices)
        return multi_soc.compile_multi_soc(
            self._source.path(), devices, folder, CompileOptions(fp16=fp16)
        )

    @property
    def _fp16(self) -> bool:
        # A float model asks for it, so that a device that cannot do it is named.
        return "fp16" in self.device.precisions or not (
            self._source.quantized or self._source.compiled
        )

    def _fastest(self, form: Form) -> EstimateRecord:
        options = Variants(self.variants.modes).options(fp16=self._fp16)
        found = [self._estimated(one, form) for one in options]
        return min(found, key=lambda record: (record.missing_ops, record.cycles))

    def _estimated(self, options: CompileOptions, form: Form) -> EstimateRecord:
        """The estimate of one variant."""

        def make() -> object:
            return estimate.estimate(self._source.path(form), self.device, options).to_json()

        parts = self._parts(form, options)
        return self._memory.recall("estimate", parts, make, EstimateRecord.model_validate)

    def _parts(self, form: Form, options: CompileOptions) -> dict[str, object]:
        """All that an estimate depends on."""
        options.provider_options(self.device)  # what the device itself cannot do is refused
        near = nearest_with_estimate(self.device)
        return {
            "model": self._source.digest,
            "rewrites": list(form.rewrites),
            "thinned": list(form.thinned),
            "options": options.provider_options(near),
        }

    def _form_to_compile(self) -> tuple[Form, Found | None]:
        """The fastest form; the model as it is where no estimate says what is faster."""
        try:
            return self.form, self.judged
        except (DeviceError, QnnError) as error:
            if error.transient:
                raise
            return PLAIN, None  # what does not compile is told when it is compiled

    def _costs(self, forms: Sequence[Chosen]) -> list[Costs | SnapqError]:
        """What the model takes with some rewrites, in the first mode that is tried."""
        options = Variants(self.variants.modes).options(fp16=self._fp16)[0]
        for chosen in forms:  # one after the other
            self._source.path(Form(chosen))

        def ask(chosen: Chosen) -> dict[str, EstimateRecord] | SnapqError:
            try:
                return {self.device.name: self._estimated(options, Form(chosen))}
            except SnapqError as error:
                return error

        return list(map(self._whole.costs, side_by_side(ask, forms)))

    def _while_needed(self, outputs: Iterator[Outputs]) -> Iterator[Outputs]:
        yield from outputs  # until then this object holds the temporary file


def _compile_file(path: Path, wanted: Wanted, folder: Path) -> Compilation:
    """What a worker of a cluster does for `Model.compile`."""
    model = Model(path, wanted.device, variants=wanted.variants, form=wanted.form)
    return model.compile(folder, label=wanted.label, embed=wanted.embed, allow_cpu=wanted.allow_cpu)
