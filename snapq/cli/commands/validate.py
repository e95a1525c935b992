"""`snapq validate` checks a deploy.yaml."""

from __future__ import annotations

from snapq.cli.options import Config, Json, SetOption
from snapq.cli.output.json import emit
from snapq.cli.output.text import say


def validate(config: Config, set_: SetOption = None, json: Json = False) -> None:
    """Check a deploy.yaml, its model, data, devices and metric, without running any stage.

    Example: snapq validate deploy.yaml --set devices=[sm8650]
    """
    from snapq import api

    loaded = api.load(config, set_ or ())
    chosen = api.check(loaded)
    if json:
        emit({"valid": True, "config": loaded.model_dump(mode="json", exclude_none=True)})
        return
    inputs = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in chosen.inputs)
    devices = ", ".join(device.name for device in chosen.devices)
    say(f"{config} is valid: {loaded.name}, inputs {inputs}, devices {devices}.")
