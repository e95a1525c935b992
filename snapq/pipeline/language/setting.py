"""What a run of a language model needs before its first step: the pair, tokens, text, devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snapq.config import LanguageDeployConfig
from snapq.devices import profiles
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ConfigError, DeviceError, did_you_mean
from snapq.graph import io
from snapq.llm.calibration import read_passages
from snapq.llm.pairs.taken import TakenPair, read_pair
from snapq.llm.pairs.vocabulary import find_tokenizer, read_vocabulary
from snapq.llm.reading.checkpoint import Vocabulary
from snapq.llm.tokens import Tokens
from snapq.llm.wide import wide_parts
from snapq.pipeline.gate_names import is_device
from snapq.storage import fingerprint, sha256_file

__all__ = ["LanguageSetting", "TextFile", "load_language_setting"]


@dataclass(frozen=True)
class TextFile:
    """A text of the user's.

    Attributes:
        path: the file.
        sha256: of it.
        tokens: that are used of it.
        limit: as many at most.
    """

    path: Path
    sha256: str
    tokens: int
    limit: int


@dataclass(frozen=True)
class LanguageSetting:
    """Everything that the steps and the proof of a run share.

    Attributes:
        config: the resolved deploy.yaml.
        devices: profiles of the devices.
        pair: as given, taken apart.
        vocabulary: its tokens.
        calibration: the text that calibrates.
        evaluation: the text on which the pairs are compared; None where the YAML names none.
        source_sha256: of both graphs, their weights and tokens.
        wide: at w4a16, the parts and layers whose weights have 8 bits.
    """

    config: LanguageDeployConfig
    devices: tuple[DeviceProfile, ...]
    pair: TakenPair
    vocabulary: Vocabulary
    calibration: TextFile
    evaluation: TextFile | None
    source_sha256: str
    wide: tuple[str, ...]


def load_language_setting(config: LanguageDeployConfig) -> LanguageSetting:
    """Reads and checks everything that a run needs, before any work is done.

    Raises:
        ConfigError: a gate is for a device that the run has not, or a part of the weights unknown.
        DataError: a text is too short or no text.
        DeviceError: a device is unknown, or computes no activations of 16 bits.
        InstallError: a library of the extra `llm` is missing.
        ModelError: a graph or the tokenizer is none, or the graphs are no pair.
    """
    devices = tuple(profiles.find(name) for name in config.devices)
    for device in devices:
        if config.precision not in device.precisions:
            raise DeviceError(
                f"{device.name} (v{device.architecture}) cannot run {config.precision}.",
                where="devices",
                hint=f"It has {', '.join(device.precisions)}.",
            )
    _check_gates(config, devices)
    tokenizer = find_tokenizer(config.model.tokenizer, config.model.prefill)
    vocabulary = read_vocabulary(tokenizer)
    words = Tokens.of(vocabulary.tokenizer, str(tokenizer))
    pair = read_pair(config.model.prefill, config.model.decode)

    def opened(path: Path, limit: int) -> TextFile:
        found = read_passages(pair.sizes.context, words, path, limit)
        return TextFile(path, sha256_file(path), sum(map(len, found)), limit)

    text = config.text
    return LanguageSetting(
        config=config,
        devices=devices,
        pair=pair,
        vocabulary=vocabulary,
        calibration=opened(text.calibration, text.calibration_tokens),
        evaluation=opened(text.evaluation, text.evaluation_tokens) if text.evaluation else None,
        source_sha256=_fingerprint(config, vocabulary),
        wide=wide_parts(config.eight_bits, config.precision, pair.decoder.layers, "eight_bits"),
    )


def _check_gates(config: LanguageDeployConfig, devices: Sequence[DeviceProfile]) -> None:
    for gate, limits in config.gates:
        if not isinstance(limits, Mapping):
            continue
        for name in limits:
            if not is_device(name, devices):
                known = [device.name for device in devices]
                raise ConfigError(
                    f"The run has no device `{name}`.",
                    where=f"gates.{gate}.{name}",
                    hint=did_you_mean(name, known, f"It has {', '.join(known)}."),
                )


def _fingerprint(config: LanguageDeployConfig, vocabulary: Vocabulary) -> str:
    """Hash of both graphs with the files of their weights, and of the tokens."""
    files = {*io.files(config.model.prefill), *io.files(config.model.decode)}
    hashes = [sha256_file(file) for file in sorted(files)]
    said = [vocabulary.tokenizer, vocabulary.beginning, list(vocabulary.ends)]
    return fingerprint([*hashes, said, vocabulary.chat_template])
