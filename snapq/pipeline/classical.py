"""What a run of a classical model (ONNX-ML) has otherwise than that of a network: its stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapq.config import DeployConfig, LowerConfig, PrepareConfig, PruneConfig, QuantizeConfig
from snapq.config.schema.stages import StageItem
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ConfigError
from snapq.graph import foreign
from snapq.precision import ActivationType

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["Classical", "arranged", "refuse_classical_stages"]

_FOR_NETWORKS = ("repair", "cluster", "finetune")


@dataclass(frozen=True)
class Classical:
    """A tree ensemble, SVM or linear model.

    Attributes:
        trees: whether its part on the NPU are trees, in exact integers.
        rows: how many it takes at once.
        brings_rows: whether it holds rows for calibration, as SVMs hold support vectors.
        notes: what of the YAML is left out, or added to it, and why.
    """

    trees: bool
    rows: int
    brings_rows: bool = False
    notes: tuple[str, ...] = ()


def arranged(
    config: DeployConfig, model: ir.Model, rows: int, devices: Sequence[DeviceProfile]
) -> tuple[DeployConfig, Classical]:
    """The configuration with the stages that a classical model goes through.

    1. `prune` of trees comes first, then `lower`, which is put in where it is not named.
    2. Trees are exact integers: `prepare` and `quantize` are left out, and a note says so.
    3. SVMs and linear models are ordinary float networks behind `lower`: `prepare` comes next.
       Without a `quantize` they run in fp16, or in w8a16 where a device has no fp16.

    Raises:
        ConfigError: a stage is for networks.
        ModelError: the model holds what is not covered; the node is named.
    """
    named = {item.name: item for item in config.stages}
    for name in _FOR_NETWORKS:
        if name in named:
            raise ConfigError(
                f"`{name}` is for networks, and this is a tree ensemble, SVM or linear model.",
                where=f"stages.{name}",
                hint="Leave the stage out.",
            )
    _refuse_channels(config.stages)
    _refuse_max_drop(named)
    trees, brings = foreign.guarded(lambda: _kinds(model), model, path=config.model.path)
    foreign.try_out_model(model)
    _refuse_pruning(config.stages, trees)
    stages = list(_stages(config.stages, named, trees, devices))
    notes = (*_notes(named, trees, devices), *_moved(config.stages, stages))
    changed = config.model_copy(update={"stages": tuple(stages)}).at(config.folder)
    return changed, Classical(trees, rows, brings, notes)


def _refuse_channels(stages: Sequence[StageItem]) -> None:
    """Refuses a prune stage that is for networks."""
    for item in stages:
        if isinstance(item.options, PruneConfig) and item.options.trees is None:
            raise ConfigError(
                "There are no channels, blocks or layers in a tree ensemble, SVM or linear model.",
                where="stages.prune",
                hint="Trees are pruned with `prune: {trees: {most_loss: 0.01}}`.",
            )


def _refuse_pruning(stages: Sequence[StageItem], trees: bool) -> None:
    """Refuses to prune trees where none go onto the NPU."""
    if not trees and any(isinstance(item.options, PruneConfig) for item in stages):
        raise ConfigError(
            "The model holds no trees that can be pruned.",
            where="stages.prune.trees",
            hint="Leave the stage out.",
        )


def _moved(given: Sequence[StageItem], stages: Sequence[StageItem]) -> Iterator[str]:
    """Says where stages run in another order than the one that is written."""
    order = [item.name for item in stages]
    kept = [item.name for item in given if item.name in order]
    if kept != [name for name in order if name in kept]:
        yield (
            f"The stages of a classical model run in this order, whatever their place in the YAML: "
            f"{', '.join(order)}."
        )


def _kinds(model: ir.Model) -> tuple[bool, bool]:
    """Whether trees go onto the NPU, and whether what goes there brings rows of its own."""
    from snapq.classical.ensemble import Ensemble
    from snapq.classical.model import ClassicalModel
    from snapq.classical.on_npu import npu_estimators
    from snapq.classical.svm import SupportVectors

    chosen, _ = npu_estimators(ClassicalModel.read(model))
    brings = all(isinstance(one.form, SupportVectors) for one in chosen)
    return isinstance(chosen[0].form, Ensemble), brings


def _refuse_max_drop(named: Mapping[str, StageItem]) -> None:
    """Refuses a budget in a metric's unit, which the quantize stage takes of single samples."""
    options = named["quantize"].options if "quantize" in named else None
    if not isinstance(options, QuantizeConfig):
        return
    for key in ("goal", "mixed_precision"):
        budget = getattr(options, key)
        if budget is not None and budget.max_drop is not None:
            raise ConfigError(
                "Of a classical model the quantize stage sees the part on the NPU alone, whose "
                "outputs no metric scores.",
                where=f"stages.quantize.{key}.max_drop",
                hint="Give `min_sqnr_db`, and `gates: {max_accuracy_drop: …}` for the metric.",
            )


def refuse_classical_stages(config: DeployConfig) -> None:
    """Refuses, for a network, the stages of classical models. Raises `ConfigError`."""
    for item in config.stages:
        if isinstance(item.options, LowerConfig):
            raise ConfigError(
                "`lower` is for tree ensembles, SVMs and linear models (ONNX-ML), and this is a "
                "network.",
                where="stages.lower",
                hint="Leave the stage out.",
            )
        if isinstance(item.options, PruneConfig) and item.options.trees is not None:
            raise ConfigError(
                "`trees` is for tree ensembles (ONNX-ML), and this is a network.",
                where="stages.prune.trees",
                hint="Give `ratio` or `target`, such as `prune: {ratio: 0.3}`.",
            )


def _stages(
    given: Sequence[StageItem],
    named: dict[str, StageItem],
    trees: bool,
    devices: Sequence[DeviceProfile],
) -> Iterator[StageItem]:
    for item in given:
        if isinstance(item.options, PruneConfig):
            yield item
    yield named.get("lower", StageItem(lower=LowerConfig()))
    if not trees:
        yield named.get("prepare", StageItem(prepare=PrepareConfig()))
        if "quantize" in named:
            yield named["quantize"]
        elif "package" in named and _lacking_fp16(devices):
            yield StageItem(quantize=QuantizeConfig(activations=ActivationType.UINT16))
    if "package" in named:
        yield named["package"]


def _notes(
    named: dict[str, StageItem], trees: bool, devices: Sequence[DeviceProfile]
) -> Iterator[str]:
    if trees:
        if "quantize" in named:
            yield (
                "`quantize` is left out: trees run as exact integers of 8 bits already, and have "
                "no other precision."
            )
        if "prepare" in named:
            yield "`prepare` is left out: the part on the NPU is made as the NPU takes it."
        return
    lacking = _lacking_fp16(devices)
    if lacking and "quantize" not in named and "package" in named:
        yield (
            f"Quantized to w8a16, as {', '.join(lacking)} has no fp16; the scaler in front is "
            "computed by the CPU."
        )


def _lacking_fp16(devices: Sequence[DeviceProfile]) -> tuple[str, ...]:
    return tuple(device.name for device in devices if "fp16" not in device.precisions)
