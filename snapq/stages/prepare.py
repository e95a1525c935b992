"""The prepare stage: static shapes, opset 21, folded, fused, and lowered to what the NPU has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from snapq.config import PrepareConfig
from snapq.graph import foreign, io, prepare, shapes
from snapq.graph.completion import refuse_open_outputs
from snapq.graph.passes.base import SkippedNode
from snapq.graph.unknown_operators import refuse_unknown_operators
from snapq.npu.judged.search import Chosen
from snapq.quantization.existing_qdq.strip import is_quantized, strip
from snapq.scratch import Scratch
from snapq.stages.artifact import MODEL
from snapq.stages.base import Context, Input, Outcome, Reads
from snapq.stages.judging import Judged, judge_passes

JUDGED, APART = "judged", "apart"
"""Keys of the record: which passes were judged, and whether devices want different forms."""


def reads(options: PrepareConfig) -> Reads:
    """The model as given; what its estimate rests on where passes are judged by that."""
    if not options.judge.tries:
        return Reads((Input.PREVIOUS,))
    estimate = (Input.DEVICES, Input.BOUNDARY, Input.CALIBRATION, Input.QUANTIZE)
    return Reads((Input.PREVIOUS,), estimate)


def run(options: PrepareConfig, context: Context, folder: Path) -> Outcome:
    """Writes the prepared model into `folder`.

    Raises:
        ModelError: the model cannot be read, frozen or handled, or an output has no fixed shape;
            the node, input or output is named.
        ConfigError: `options.skip` names a pass that does not exist.
    """
    given = io.load(context.previous.model)
    done = convert(given, {}, folder / MODEL, options.skip)
    refuse_open_outputs(io.load(folder / MODEL))
    judged = Judged()
    if options.judge.tries:
        with Scratch() as scratch:

            def without(passes: Chosen) -> Path:
                file = scratch.path / "+".join(("model", *passes)) / MODEL
                if not passes:
                    return folder / MODEL
                if not file.is_file():
                    convert(given, {}, file, (*options.skip, *passes))
                return file

            judged = judge_passes(done.applied, without, options.judge.tries, context)
        if judged.left_out:
            done = convert(given, {}, folder / MODEL, (*options.skip, *judged.left_out))
    return _outcome(done, judged)


def write(model: ir.Model, options: PrepareConfig, folder: Path) -> Outcome:
    """As `run`, of a model that is loaded already, where nothing is known of devices."""
    return _outcome(convert(model, {}, folder / MODEL, options.skip), Judged())


def _outcome(done: Converted, judged: Judged) -> Outcome:
    return Outcome(
        precision="float",
        notes=(*done.notes, *judged.notes),
        details={
            "passes": done.applied,
            "nodes": done.nodes,
            **({JUDGED: judged.details} if judged.details else {}),
            **({APART: True} if judged.apart else {}),
        },
        failures=judged.failures,
    )


@dataclass(frozen=True)
class Converted:
    """What became of a model that was prepared in a process of its own, and written to a file.

    Attributes:
        applied: how often each pass applied.
        notes: what the user should know.
        skipped: nodes that a pass nearly matched, and why it left them alone.
        nodes: of the prepared model.
        doubtful: whether a run of it may take more than its shapes say.
    """

    applied: dict[str, int]
    notes: tuple[str, ...]
    skipped: tuple[SkippedNode, ...]
    nodes: int
    doubtful: bool


def convert(
    given: ir.Model, inputs: shapes.InputShapes, file: Path, skip: Sequence[str] = ()
) -> Converted:
    """Takes Q and DQ out of a model, prepares it and writes it to `file`, under limits.

    Args:
        given: a model that is not ours; left as it is.
        inputs: shapes of inputs, as `prepare.prepare` takes them.
        file: where the prepared model goes.
        skip: names of passes to leave out.

    Raises:
        ModelError: the model cannot be frozen or handled, takes more memory or time than a model
            of its size may, or crashes a library; the node or input is named.
        ConfigError: `skip` names a pass that does not exist.
    """

    def work() -> Converted:
        refuse_unknown_operators(given)
        model = given
        came: tuple[str, ...] = ()
        if is_quantized(model):
            stripped = strip(shapes.freeze(model, inputs) if inputs else model)
            model = stripped.model
            came = (
                f"The model came quantized, with {len(stripped.encodings)} encodings; this is its "
                "float form.",
                *stripped.notes,
            )
        prepared = prepare.prepare(model, {} if came else inputs, skip)
        io.save(prepared.model, file)
        return Converted(
            applied=prepared.applied,
            notes=(*came, *prepared.notes),
            skipped=prepared.skipped,
            nodes=len(prepared.model.graph),
            doubtful=foreign.is_doubtful(prepared.model),
        )

    done = foreign.guarded(work, given, inputs=inputs)
    if done.doubtful:
        foreign.try_out(file, given, inputs)
    return done
