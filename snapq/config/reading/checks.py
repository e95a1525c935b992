"""What a schema cannot say: parts of deploy.yaml that do not go together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from snapq.boards.emulator.address import EmulatedAddress
from snapq.boards.inventory import find_board
from snapq.config import FUNCTION_PATTERN, DataSource, DeployConfig, LanguageDeployConfig
from snapq.config.reading.marked import marked_findings
from snapq.config.reading.problems import KeyPath
from snapq.devices import profiles
from snapq.errors import ConfigError, DeviceError, nearest
from snapq.metric_table import METRICS

BENCHMARK_TARGETS = ("local",)
_OF_PACKAGES = (
    "min_predicted_speedup",
    "max_predicted_ms",
    "min_estimated_speedup",
    "max_estimated_us",
    "max_bundle_mb",
    "max_compiled_mb",
)

_ON_TEXT = ("max_perplexity_ratio", "min_next_token_agreement", "min_sqnr_db")

Finding = tuple[KeyPath, str, str]


def check(config: DeployConfig | LanguageDeployConfig) -> Iterator[Finding]:
    """Yields what does not go together: the key, a sentence, and the hint.

    Device names are not looked up here: `snapq.devices.profiles` knows them.
    """
    yield from _devices(config)
    if isinstance(config, LanguageDeployConfig):
        yield from _language(config)
        return
    yield from _stages(config)
    yield from _metric(config)
    yield from _gates(config)
    yield from _benchmark(config)
    yield from marked_findings(config)


def _devices(config: DeployConfig | LanguageDeployConfig) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, device in enumerate(config.devices):
        name = device.strip().lower()
        if not name:
            yield ("devices", index), "A device's name is empty.", "`snapq devices` lists them."
        elif name in seen:
            yield ("devices", index), f"The device `{device}` is named twice.", "Name it once."
        seen.add(name)


def _language(config: LanguageDeployConfig) -> Iterator[Finding]:
    """Gates of a language model that no figure of the run is for."""
    for name in _ON_TEXT if config.text.evaluation is None else ():
        if getattr(config.gates, name) is not None:
            what = "The gate judges what is computed on `text.evaluation`, which is not given."
            yield ("gates", name), what, "Add it: a text that does not calibrate."
    if config.gates.max_shared_ratio is not None and not config.package.shared:
        what = "The gate judges the binary of both graphs, and `package.shared` is false."
        yield ("gates", "max_shared_ratio"), what, "Remove one of the two."
    if config.text.evaluation == config.text.calibration:
        what = "The text that is evaluated is the one that calibrates."
        yield ("text", "evaluation"), what, "Name another one, or part it into two files."


def _stages(config: DeployConfig) -> Iterator[Finding]:
    names = [stage.name for stage in config.stages]
    first = {name: index for index, name in reversed(list(enumerate(names)))}
    for index, name in enumerate(names):
        if first[name] < index and not config.stages[index].options.repeats:
            what = f"The stage `{name}` is there twice."
            yield ("stages", index, name), what, "Remove one of them."
        elif name == "prepare" and index > 0:
            what = "The stage `prepare` comes after another stage."
            yield ("stages", index, name), what, "Put it first; it also runs where it is not named."
        elif name == "package" and index < len(names) - 1:
            what = f"The stage `package` comes before `{names[-1]}`."
            yield ("stages", index, name), what, "Put it last: it compiles what is there by then."


def _metric(config: DeployConfig) -> Iterator[Finding]:
    named: dict[KeyPath, str] = {}
    if isinstance(config.metric, str):
        named[("metric",)] = config.metric
    elif config.metric is not None:
        named = {("metric", output): metric for output, metric in config.metric.items()}
    for key, metric in named.items():
        yield from _one_metric(metric, key, config.data.evaluation)


def _one_metric(metric: str, key: KeyPath, source: DataSource | None) -> Iterator[Finding]:
    own = re.fullmatch(FUNCTION_PATTERN, metric) is not None
    if metric not in METRICS and not own:
        close = nearest(metric, METRICS)
        hint = f"Did you mean `{close}`? " if close else ""
        hint = f"{hint}Metrics are {', '.join(METRICS)}, or `module:function` of your own."
        yield key, f"There is no metric `{metric}`.", hint
    elif source is None:
        what = (
            f"The metric `{metric}` needs samples with labels, and `data.evaluation` is not given."
        )
        yield key, what, "Add data.evaluation with labels, or remove the metric."
    elif source.random:
        what = f"The metric `{metric}` needs labels, and random inputs have none."
        yield key, what, "Give data.evaluation real samples, or remove the metric."
    elif source.table is not None:
        if source.label is None:
            what = f"The metric `{metric}` needs labels, and data.evaluation.label is not given."
            yield ("data", "evaluation"), what, "Name the column: `label: NAME`."
    elif source.labels is None and source.python is None and not own:
        what = f"The metric `{metric}` needs labels, and data.evaluation.labels is not given."
        yield ("data", "evaluation"), what, "Add labels, or remove the metric."


def _gates(config: DeployConfig) -> Iterator[Finding]:
    gates, names = config.gates, [stage.name for stage in config.stages]
    if gates.max_accuracy_drop is not None and config.metric is None:
        path = ("gates", "max_accuracy_drop")
        what = "The gate needs a metric, and none is given."
        yield path, what, f"Add metric: {', '.join(METRICS)} or `module:function`."
    for name in _OF_PACKAGES if "package" not in names else ():
        if getattr(gates, name) is not None:
            what = "The gate needs the stage `package`, which makes what it judges."
            yield ("gates", name), what, "Add `- package: {}` to the stages."
    yield from _measured_gates(config)


def _measured_gates(config: DeployConfig) -> Iterator[Finding]:
    """Gates of what `benchmark` measures; an emulated board has no times, and others no counts."""
    target = config.benchmark.target if config.benchmark is not None else None
    try:
        emulated = target is not None and EmulatedAddress.parse(target) is not None
    except ConfigError:  # `_benchmark` tells it
        return
    for name, counts in (("max_latency_ms", False), ("max_instructions", True)):
        if getattr(config.gates, name) is None:
            continue
        if target is None:
            what = "The gate judges what is measured, and `benchmark` is not given."
            yield ("gates", name), what, "Add `benchmark: {target: …}`, or remove the gate."
        elif emulated != counts:
            what = "This target counts no instructions: it measures time."
            if emulated:
                what = "An emulated board counts instructions, and measures no time."
            other = "max_latency_ms" if counts else "max_instructions"
            yield ("gates", name), what, f"Use {other} with the target `{target}`."


def _is_chip(name: str) -> bool:
    try:
        return bool(profiles.find(name))
    except DeviceError:
        return False


def _benchmark(config: DeployConfig) -> Iterator[Finding]:
    if config.benchmark is None or config.benchmark.target in BENCHMARK_TARGETS:
        return
    target = config.benchmark.target
    known = ", ".join(BENCHMARK_TARGETS)
    hint = f"Write {known}, qemu, ssh://USER@HOST or a board of boards.yaml."
    if target == "htp-sim":
        what = "The simulator's values are exact, and its times mean nothing: it is no benchmark."
    else:
        try:
            if EmulatedAddress.parse(target) is not None or find_board(target) is not None:
                return
            what = f"There is no benchmark target `{target}`."
            if _is_chip(target):
                what = f"`{target}` is a chip to compile for (`devices`), and no place to measure."
        except ConfigError as error:
            what, hint = error.what, error.hint or hint
    yield ("benchmark", "target"), what, hint
