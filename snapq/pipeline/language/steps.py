"""The steps of a run of a language model, each taken from the cache where it was done before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from snapq.devices.profiles import DeviceProfile, nearest_with_estimate
from snapq.llm.calibration import calibration_texts, target_of
from snapq.llm.files import TOKENIZER, Folder
from snapq.llm.package import package
from snapq.llm.pairs.writing import write_taken
from snapq.llm.quantize import quantize_pair
from snapq.llm.store import write_quantized
from snapq.llm.texts import windows_of
from snapq.llm.tokens import Tokens
from snapq.llm.wide import WIDE
from snapq.pipeline.cache import Cache
from snapq.pipeline.language.setting import LanguageSetting
from snapq.precision import PairPrecision
from snapq.progress import Progress, duration
from snapq.stages.artifact import Artifact

__all__ = ["HELD", "LanguageStep", "kept_steps", "language_steps", "walk_steps"]

HELD = "pair"
"""The folder of an artifact in which the pair or the package lies."""


@dataclass(frozen=True)
class Made:
    """What a step says of the folder that it wrote.

    Attributes:
        precision: of the pair.
        notes: sentences for the reader.
        details: figures of this step alone, JSON values.
    """

    precision: str
    notes: tuple[str, ...]
    details: dict[str, Any]


@dataclass(frozen=True)
class LanguageStep:
    """One step.

    Attributes:
        name: `pair`, `quantize` or `package`.
        devices: which it is for; none where for all.
        options: of the YAML, for the record.
        key: under which its result is kept; it needs the artifact of the step before.
        make: writes the folder.
    """

    name: str
    devices: tuple[str, ...]
    options: dict[str, Any]
    key: Callable[[Artifact | None], str]
    make: Callable[[Artifact | None, Path, Progress], Made]


def language_steps(setting: LanguageSetting) -> tuple[LanguageStep, ...]:
    """The pair as the NPU likes it, the quantized pair, and a package for each device.

    All packages are made of the quantized pair.
    """
    config = setting.config
    options = {
        "precision": str(config.precision),
        **({"eight_bits": list(setting.wide)} if setting.wide != WIDE else {}),
        "text": str(config.text.calibration),
        "tokens": config.text.calibration_tokens,
    }
    return (
        LanguageStep("pair", (), {}, lambda _: _pair_key(setting), _pair_maker(setting)),
        LanguageStep("quantize", (), options, _quantize_key(setting), _quantize_maker(setting)),
        *(
            LanguageStep(
                "package",
                (device.name,),
                config.package.model_dump(mode="json"),
                _package_key(setting, device),
                _package_maker(setting, device),
            )
            for device in setting.devices
        ),
    )


def walk_steps(
    setting: LanguageSetting, cache: Cache, progress: Progress
) -> Iterator[tuple[LanguageStep, Artifact, bool]]:
    """Runs the steps; gives each with its artifact, and whether it was kept."""
    before: dict[str, Artifact] = {}
    steps = language_steps(setting)
    for index, step in enumerate(steps):
        on = f" for {step.devices[0]}" if step.devices else ""
        title = f"Step {index + 1} of {len(steps)}: {step.name}{on}"
        source = _source(step, before)
        key = step.key(source)
        found = cache.artifact(key)
        kept = found is not None
        progress.say(f"{title} (reused, same inputs)" if kept else title)
        if found is None:
            found = cache.keep(key, lambda folder, s=step, b=source: _built(s, b, folder, progress))  # type: ignore[misc]
            progress.say(f"{title} took {duration(found.record.seconds)}")
        before[step.name] = found
        yield step, found, kept


def kept_steps(setting: LanguageSetting, cache: Cache) -> tuple[tuple[LanguageStep, bool], ...]:
    """The steps, and whether the result of each is kept; behind one that would run none is."""
    before: dict[str, Artifact] = {}
    found = []
    for step in language_steps(setting):
        source = _source(step, before)
        artifact = None
        if step.name == "pair" or source is not None:
            artifact = cache.artifact(step.key(source))
        if artifact is not None:
            before[step.name] = artifact
        found.append((step, artifact is not None))
    return tuple(found)


def _source(step: LanguageStep, before: dict[str, Artifact]) -> Artifact | None:
    return before.get({"quantize": "pair", "package": "quantize"}.get(step.name, ""))


def _built(step: LanguageStep, source: Artifact | None, folder: Path, told: Progress) -> Artifact:
    started = time.monotonic()
    made = step.make(source, folder / HELD, told)
    return Artifact.write(
        folder,
        stage=step.name,
        precision=made.precision,
        seconds=time.monotonic() - started,
        notes=made.notes,
        details=made.details,
    )


def _pair_key(setting: LanguageSetting) -> str:
    return Cache.key("language pair", source=setting.source_sha256)


def _pair_maker(setting: LanguageSetting) -> Callable[[Artifact | None, Path, Progress], Made]:
    def make(_: Artifact | None, folder: Path, progress: Progress) -> Made:
        written = write_taken(setting.pair, setting.vocabulary, folder, progress.say)
        details = {"facts": written.facts.model_dump(), "difference": written.difference}
        return Made("float", (), {**details, "parameters": setting.pair.weights.parameters})

    return make


def _quantize_key(setting: LanguageSetting) -> Callable[[Artifact | None], str]:
    def key(source: Artifact | None) -> str:
        assert source is not None
        return Cache.key(
            "language quantize",
            pair=source.sha256,
            precision=str(setting.config.precision),
            wide=list(setting.wide),
            text=setting.calibration.sha256,
            tokens=setting.calibration.limit,
            target=asdict(target_of(setting.devices)),
        )

    return key


def _quantize_maker(setting: LanguageSetting) -> Callable[[Artifact | None, Path, Progress], Made]:
    def make(source: Artifact | None, folder: Path, progress: Progress) -> Made:
        assert source is not None
        opened = Folder.open(source.folder / HELD)
        words = Tokens.read(opened.path / TOKENIZER)
        text = setting.calibration
        texts = calibration_texts(opened, words, text.path, text.limit)
        count = sum(windows_of(one, opened.facts.prefill) for one in texts)
        precision = setting.config.precision
        if precision is not PairPrecision.W8A16:
            count += opened.facts.layers
        target = target_of(setting.devices)
        with progress.track("calibrating", count) as advance:
            pair = quantize_pair(
                opened, texts, target, advance, precision=precision, wide=setting.wide
            )
        written = write_quantized(pair, opened, folder)
        notes = tuple(note.text for note in pair.notes)
        details = {"tokens": pair.tokens, "logit_shift": pair.shift}
        return Made(written.facts.precision, notes, details)

    return make


def _package_key(
    setting: LanguageSetting, device: DeviceProfile
) -> Callable[[Artifact | None], str]:
    def key(source: Artifact | None) -> str:
        assert source is not None
        near = nearest_with_estimate(device)
        return Cache.key(
            "language package",
            pair=source.sha256,
            device=[asdict(device), asdict(near)],
            shared=setting.config.package.shared,
        )

    return key


def _package_maker(
    setting: LanguageSetting, device: DeviceProfile
) -> Callable[[Artifact | None, Path, Progress], Made]:
    def make(source: Artifact | None, folder: Path, progress: Progress) -> Made:
        assert source is not None
        opened = Folder.open(source.folder / HELD)
        shared = setting.config.package.shared
        found = package(opened, device, folder, shared=shared, told=progress.say)
        estimates = {
            name: record.to_json()
            for name, record in (("prefill", found.prefill), ("decode", found.decode))
            if record is not None
        }
        details = {
            "separate_bytes": found.separate_bytes,
            "shared_bytes": found.shared_bytes,
            "estimates": estimates,
        }
        return Made(opened.facts.precision, (), details)

    return make
