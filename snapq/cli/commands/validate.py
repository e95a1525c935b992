"""`snapq validate` checks a deploy.yaml."""

from __future__ import annotations

from snapq.cli.options import Config, Json, SetOption
from snapq.cli.output.json import emit
from snapq.cli.output.text import say


def validate(config: Config, set_: SetOption = None, json: Json = False) -> None:
    """Check a deploy.yaml, its model, every sample, devices and metric, without running a stage.

    Example: snapq validate deploy.yaml --set devices=[sm8650]
    """
    from snapq import api
    from snapq.cli.output.progress import Bars
    from snapq.pipeline.language.setting import LanguageSetting

    loaded = api.load(config, set_ or ())
    chosen = api.validate(loaded, progress=Bars())
    if json:
        emit({"valid": True, "config": loaded.model_dump(mode="json", exclude_none=True)})
        return
    devices = ", ".join(device.name for device in chosen.devices)
    if isinstance(chosen, LanguageSetting):
        sizes, decoder = chosen.pair.sizes, chosen.pair.decoder
        say(
            f"{config} is valid: {loaded.name}, {decoder.family} with {decoder.layers} layers, "
            f"context {sizes.context}, {sizes.prefill} tokens at once, devices {devices}, "
            f"{chosen.calibration.tokens:,} tokens for calibration."
        )
        return
    inputs = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in chosen.inputs)
    data = (("calibration", chosen.calibration), ("evaluation", chosen.evaluation))
    read = [f"{one.description} for {name}" for name, one in data if one and not one.random]
    samples = f", {' and '.join(read)}" if read else ""
    say(f"{config} is valid: {loaded.name}, inputs {inputs}, devices {devices}{samples}.")
