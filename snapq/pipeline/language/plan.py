"""What a run of a language model would do, and what is kept of earlier ones."""

from __future__ import annotations

from snapq.devices.profiles import nearest_with_estimate
from snapq.pipeline.cache import Cache
from snapq.pipeline.language.setting import LanguageSetting
from snapq.pipeline.language.steps import kept_steps
from snapq.pipeline.plan import Plan, PlannedData, PlannedDevice, PlannedStage

__all__ = ["plan_language"]


def plan_language(chosen: LanguageSetting, cache: Cache) -> Plan:
    """Says what a run with this setting would do, without doing it."""
    config, decoder, sizes = chosen.config, chosen.pair.decoder, chosen.pair.sizes
    texts = (("calibration", chosen.calibration), ("evaluation", chosen.evaluation))
    return Plan(
        name=config.name,
        model=f"{config.model.prefill} and {config.model.decode.name}",
        inputs={},
        boundary=[
            f"{decoder.family}: {decoder.layers} layers, {decoder.heads} heads of "
            f"{decoder.head_size}, {decoder.kv_heads} of keys and values",
            f"context {sizes.context}, {sizes.prefill} tokens of a prompt at once",
        ],
        stages=tuple(
            PlannedStage(step.name, step.options, kept, step.devices)
            for step, kept in kept_steps(chosen, cache)
        ),
        data=tuple(
            PlannedData(use, f"tokens of {text.path.name}", text.tokens, False)
            for use, text in texts
            if text is not None
        ),
        devices=tuple(
            PlannedDevice(
                device.name, device.soc_id, device.architecture, nearest_with_estimate(device).name
            )
            for device in chosen.devices
        ),
        benchmark=None,
        gates=config.gates.model_dump(mode="json", exclude_none=True),
    )
