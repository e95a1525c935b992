"""The finetune stage: wins accuracy back by training, in float or with quantization in the loop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from snapq.bundle import ENCODINGS
from snapq.config import FinetuneConfig
from snapq.errors import ConfigError
from snapq.evaluation.datasets import Dataset
from snapq.evaluation.samples import Sample
from snapq.graph import boundary, io
from snapq.stages.artifact import MODEL
from snapq.stages.base import Context, Input, Outcome, Reads
from snapq.storage import storage_errors, write_json

if TYPE_CHECKING:
    from snapq.training.options import TrainingOptions
    from snapq.training.train import Feeds, Trained

EPOCHS = 10
"""Epochs where the YAML gives neither epochs nor steps."""


def reads(options: FinetuneConfig) -> Reads:
    """The model, its teacher, and what a quantized model was made of."""
    return Reads(
        (Input.PREVIOUS, Input.ORIGINAL, Input.TRAINING, Input.SEED), (Input.FLOAT, Input.BOUNDARY)
    )


def run(options: FinetuneConfig, context: Context, folder: Path) -> Outcome:
    """Writes the trained model, and its encodings where it is quantized, into `folder`.

    Raises:
        ConfigError: there is no training data.
        DataError: there are not two samples, or a sample does not fit the model.
        InstallError: PyTorch is not installed.
        ModelError: training cannot run an operator of the model; node and operator are named.
    """
    from snapq.training.train import train

    source, data = context.previous, context.training
    if data is None or context.original is None:
        raise ConfigError(
            "The finetune stage needs training samples.",
            where="data.training",
            hint="Give images, arrays or python there; labels are not needed.",
        )
    model, original = io.load(source.model), io.load(context.original.model)
    quantized = source.precision != "float"
    latent: dict[str, np.ndarray] = {}
    if quantized and context.float_model is not None:
        last = io.load(context.float_model.model)
        if context.boundary is not None:
            last = boundary.fold_normalization(last, context.boundary)
        latent = _constants(last)
    result = train(
        model,
        original,
        data,
        _training_options(options, context.seed),
        feeds=_feeds(context) if quantized else dict,
        latent=latent,
        checkpoint=context.checkpoint,
        progress=context.progress,
    )
    io.save(result.model, folder / MODEL)
    if quantized:
        _write_encodings(source.folder / ENCODINGS, result.model, folder / ENCODINGS)
    return Outcome(
        precision=source.precision,
        notes=_notes(result, data),
        details=_details(result, data),
        changed={"finetune": MODEL},
    )


def _training_options(options: FinetuneConfig, seed: int) -> TrainingOptions:
    from snapq.training.options import LossWeights, TrainingOptions

    return TrainingOptions(
        epochs=None if options.steps else options.epochs or EPOCHS,
        steps=options.steps,
        rate=options.lr,
        batch=options.batch,
        losses=LossWeights(**options.losses.model_dump()),
        held_out=options.held_out,
        patience=options.patience,
        augment=options.augment,
        seed=seed,
    )


def _feeds(context: Context) -> Any:
    """From the original's feeds to the quantized model's, which may take raw frames."""
    plan = context.boundary

    def convert(feeds: Feeds) -> Feeds:
        return plan.model_feeds(Sample("", feeds)) if plan is not None else feeds

    return convert


def _constants(model: ir.Model) -> dict[str, np.ndarray]:
    """The float constants of a model by name."""
    return {
        name: np.asarray(value.const_value.numpy(), np.float32)
        for name, value in model.graph.initializers.items()
        if value.const_value is not None and value.const_value.dtype.is_floating_point()
    }


def _write_encodings(earlier: Path, model: ir.Model, path: Path) -> None:
    """Writes the encodings of before with the scales of now."""
    with storage_errors(earlier):
        records = json.loads(earlier.read_text(encoding="utf-8"))
    scales = _constants(model)
    for record in records:
        scale = scales.get(f"{record['tensor']}_scale")
        if scale is not None and scale.size == record["channels"]:
            record["scale"] = [float(value) for value in scale.reshape(-1)]
    write_json(path, records)


def _notes(result: Trained, data: Dataset) -> tuple[str, ...]:
    first, best = result.curve[0], result.best
    share = best.held_out / first.held_out if first.held_out else 1.0
    notes = [
        f"Trained on {data.description} for {result.steps} steps: the held-out loss fell to "
        f"{share:.1%} of what it was."
    ]
    if first.agreement is not None and best.agreement is not None:
        notes.append(
            f"On held-out samples, the share with the float original's class went from "
            f"{first.agreement:.1%} to {best.agreement:.1%} (computed in float32 by PyTorch)."
        )
    return (*notes, *result.notes)


def _details(result: Trained, data: Dataset) -> Mapping[str, Any]:
    return {
        "training": data.description,
        "samples": len(data),
        "random_inputs": data.random,
        "steps": result.steps,
        "best_step": result.best.step,
        "held_out_loss": [result.curve[0].held_out, result.best.held_out],
        "held_out_agreement": [result.curve[0].agreement, result.best.agreement],
        "curve": [asdict(point) for point in result.curve],
    }
