"""Begins a search, or goes on with it: what makes two searches the same, and what is prepared."""

from __future__ import annotations

import json

from snapq.config import DeployConfig
from snapq.config.reading.marked import plain
from snapq.config.reading.secrets import hide
from snapq.cpu import CpuModel
from snapq.errors import ConfigError
from snapq.evaluation.metrics import metrics
from snapq.graph.cutting import open_given
from snapq.pipeline.cache import Cache
from snapq.pipeline.inputs import Setting, load_setting
from snapq.progress import Progress
from snapq.searching.plan import Plan
from snapq.searching.sensible import Sensible, base_of
from snapq.searching.space import RESOLUTION
from snapq.searching.starting import started
from snapq.searching.study import Study
from snapq.searching.trial import as_config
from snapq.stages.artifact import code_fingerprint
from snapq.storage import fingerprint

FIRST = 14
"""Most points that are tried before any is proposed."""


def study_name(setting: Setting, device: str, sampler: str, seed: int) -> str:
    """The name under which a search is stored: another one where anything that counts differs."""
    config = setting.config
    data = (setting.calibration, setting.training, setting.evaluation)
    parts = [
        plain(config),
        {key: str(mark) for key, mark in config.search.items()},
        [None if one is None else one.fingerprint() for one in data],
        setting.source_sha256,
        (device, sampler, seed, setting.random_inputs),
        code_fingerprint(),
    ]
    return f"{config.name}-{fingerprint(parts)[:12]}"


def device_of(setting: Setting, asked: str | None) -> str:
    """The device whose estimate counts. Raises `ConfigError` where the file does not name it."""
    names = [one.name for one in setting.devices]
    if asked is None:
        own = [one.name for one in setting.devices if one.has_estimate]
        return (own or names)[0]
    if asked not in names:
        raise ConfigError(
            f"The file does not compile for `{asked}`.",
            where="--device",
            hint=f"Its devices are {', '.join(names)}.",
        )
    return asked


def begun(
    setting: Setting,
    storage: str,
    *,
    device: str,
    sampler: str,
    seed: int,
    cache: Cache,
    progress: Progress,
) -> Study:
    """The study of a deployment: the one that is stored, or a new one.

    Raises:
        SnapqError: there is nothing to search, or the storage does not answer.
    """
    name = study_name(setting, device, sampler, seed)
    if Study.exists(storage, name):
        return Study(storage, name)
    return Study(storage, name, plan_of(setting, device, sampler, seed, cache, progress))


def plan_of(
    setting: Setting, device: str, sampler: str, seed: int, cache: Cache, progress: Progress
) -> Plan:
    """What a new search is of. Raises `SnapqError` where there is nothing to search."""
    config = setting.config
    values = plain(config)
    values.pop("benchmark", None)
    base, notes = base_of(values)
    packaged = load_setting(_with_base(config, base), random_inputs=setting.random_inputs)
    sensible = Sensible(packaged, base, cache, progress)
    space = sensible.find()
    base = sensible.base
    floats = {}
    if any(one.key == RESOLUTION for one in space.dimensions):
        floats = _float_values(packaged)
    return Plan(
        name=config.name,
        base=hide(base, config.secrets),
        folder=str(config.folder),
        device=device,
        space=space,
        first=tuple(started(space, packaged.config.model_dump(mode="json"), FIRST)),
        seed=seed,
        sampler=sampler,
        random_inputs=setting.random_inputs,
        secrets=tuple(config.secrets),
        float_values=floats,
        loss=_loss_name(setting),
        notes=tuple(notes),
    )


def _with_base(config: DeployConfig, base: dict[str, object]) -> DeployConfig:
    made = as_config(json.dumps(base)).at(config.folder, config.secrets)
    return made.model_copy(update={"search": config.search}).at(config.folder, config.secrets)


def _loss_name(setting: Setting) -> str:
    metric = setting.config.metric
    if isinstance(metric, str):
        return metric
    if metric:
        return "the worst of " + ", ".join(sorted(set(metric.values())))
    return "equal answers" if setting.classical is not None else "SQNR"


def _float_values(setting: Setting) -> dict[str, float]:
    """The metrics of the float model as the file has it, over the evaluation samples."""
    config, data = setting.config, setting.evaluation
    assert config.metric is not None
    assert data is not None
    judges = metrics(config.metric, config.folder)
    model = CpuModel(open_given(config.model.path, config.model.inputs, config.model.outputs).model)
    for sample in data:
        outputs = model.run(sample.feeds)
        for judge in judges:
            judge.update(outputs, sample.label, sample.name)
    return {judge.name: judge.value() for judge in judges}
