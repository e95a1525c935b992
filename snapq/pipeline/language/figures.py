"""What a run finds out of a language model: how near it is to float, and what its parts take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from snapq.devices.profiles import DeviceProfile
from snapq.errors import DeviceError
from snapq.graph import io
from snapq.llm.calibration import read_passages
from snapq.llm.contexts import cache_bytes, decode_at
from snapq.llm.evidence import prove
from snapq.llm.files import DECODE, PREFILL, TOKENIZER, Folder
from snapq.llm.tokens import Tokens
from snapq.npu.memory import Memory
from snapq.npu.model import Model
from snapq.pipeline.cache import Cache
from snapq.pipeline.language.setting import LanguageSetting
from snapq.pipeline.language.steps import HELD
from snapq.progress import Progress
from snapq.records import (
    ContextTimeRecord,
    EstimateRecord,
    Figures,
    LanguageModelRecord,
    PairBinaryRecord,
    PartTimeRecord,
    PerplexityRecord,
)
from snapq.stages.artifact import Artifact

__all__ = ["gather_figures"]

_LAYER = re.compile(r"layers\.(\d+)\.")
_PARTS = (
    ("embedding", "embedding"),
    ("logits", "head"),
    ("norm", "head"),
    ("last_row", "head"),
    ("", "positions and mask"),
)
"""The beginning of a node's name, and the part that it belongs to; the first that fits counts."""
_WAITING = "waiting and boundary"


def gather_figures(
    setting: LanguageSetting,
    pair: Artifact,
    quantized: Artifact,
    packages: Mapping[str, Artifact],
    cache: Cache,
    progress: Progress,
) -> tuple[Figures, tuple[str, ...]]:
    """All figures of a run, and notes on what there is none of.

    Args:
        setting: of the run.
        pair: the float pair.
        quantized: the quantized one.
        packages: of each device, by its name.
        cache: finished work of earlier runs.
        progress: progress reporter.

    Raises:
        QnnError: a graph does not compile, or a node does not run on the NPU.
    """
    floats, held = (Folder.open(artifact.folder / HELD) for artifact in (pair, quantized))
    perplexities: list[PerplexityRecord] = []
    parts: list[PartTimeRecord] = []
    notes: list[str] = []
    for device in setting.devices:
        if setting.evaluation is not None:
            perplexities.append(_perplexity(setting, floats, held, device, cache, progress))
        try:
            parts += _part_times(held, device, cache, progress)
        except DeviceError as error:
            notes.append(f"{device.name} has no estimate: {error.what}")
    estimates = [
        EstimateRecord.model_validate(record)
        for artifact in packages.values()
        for record in artifact.record.details["estimates"].values()
    ]
    figures = Figures(
        estimates=tuple(estimates),
        language_models=(_sizes(pair, held),),
        perplexities=tuple(perplexities),
        part_times=tuple(parts),
        context_times=tuple(_contexts(setting, held, estimates, cache, progress)),
        pair_binaries=tuple(
            PairBinaryRecord(
                device=name,
                separate_bytes=artifact.record.details["separate_bytes"],
                shared_bytes=artifact.record.details["shared_bytes"],
            )
            for name, artifact in packages.items()
        ),
    )
    return figures, tuple(notes)


def _sizes(pair: Artifact, held: Folder) -> LanguageModelRecord:
    facts = held.facts
    return LanguageModelRecord(
        family=facts.family,
        layers=facts.layers,
        hidden=facts.hidden,
        heads=facts.heads,
        kv_heads=facts.kv_heads,
        head_size=facts.head_size,
        vocabulary=facts.vocabulary,
        parameters=pair.record.details["parameters"],
        context=facts.context,
        prefill=facts.prefill,
        longest_prompt=facts.longest_prompt,
        cache_bytes=cache_bytes(facts, facts.context),
        difference=pair.record.details["difference"],
    )


def _perplexity(
    setting: LanguageSetting,
    floats: Folder,
    held: Folder,
    device: DeviceProfile,
    cache: Cache,
    progress: Progress,
) -> PerplexityRecord:
    text = setting.evaluation
    assert text is not None

    def compute() -> object:
        words = Tokens.read(floats.path / TOKENIZER)
        texts = read_passages(floats.facts.context, words, text.path, text.limit)
        found = prove(floats, held, device, texts, progress.say)
        judged = found.judged
        return PerplexityRecord(
            label=held.facts.precision,
            device=device.name,
            tokens=judged.tokens,
            float_perplexity=judged.float_perplexity,
            perplexity=judged.perplexity,
            agreement=judged.agreement,
            sqnr_db=judged.sqnr_db,
            dataset=text.path.name,
            seconds=found.seconds,
        ).to_json()

    progress.say(f"Comparing with float on {text.path.name} for {device.name}")
    parts = {
        "pair": setting.source_sha256,
        "quantized": _digest(held),
        "text": text.sha256,
        "tokens": text.limit,
        "device": asdict(device),
    }
    return Memory(cache).recall("perplexity", parts, compute, PerplexityRecord.model_validate)


def _digest(held: Folder) -> str:
    """The key under which a quantized pair lies, which covers all that made it."""
    return Artifact.read(held.path.parent).sha256


def _part_times(
    held: Folder, device: DeviceProfile, cache: Cache, progress: Progress
) -> Iterator[PartTimeRecord]:
    for name in (PREFILL, DECODE):
        graph = name.removesuffix(".onnx")
        progress.say(f"Estimating {graph} node by node for {device.name}")
        found = Model(held.path / name, device, memory=Memory(cache)).estimate_nodes(graph)
        per_cycle = found.total.precise_us / sum(found.cycles.values()) if found.cycles else 0.0
        spent: dict[str, float] = {}
        for node, cycles in found.cycles.items():
            part = _part(node)
            spent[part] = spent.get(part, 0.0) + cycles * per_cycle
        for part in sorted(spent, key=_order):
            yield PartTimeRecord(device=device.name, graph=graph, part=part, us=spent[part])


def _part(node: str) -> str:
    """The part of a decoder that a node belongs to, by its name."""
    if not node:
        return _WAITING
    found = _LAYER.search(node)
    if found is not None:
        return f"layer {int(found[1])}"
    return next(part for begin, part in _PARTS if node.startswith(begin))


def _order(part: str) -> tuple[int, int]:
    """Parts in the order in which a graph computes them, what belongs to none last."""
    if part.startswith("layer "):
        return 2, int(part.removeprefix("layer "))
    return {"embedding": 0, "positions and mask": 1, "head": 3}.get(part, 4), 0


def _contexts(
    setting: LanguageSetting,
    held: Folder,
    estimates: Sequence[EstimateRecord],
    cache: Cache,
    progress: Progress,
) -> Iterator[ContextTimeRecord]:
    """The estimate of a token at the pair's context for each device, at others for the first."""
    for found in estimates:
        if found.label == "decode":
            yield _context(held, found, held.facts.context)
    device = setting.devices[0]
    others = [size for size in sorted(set(setting.config.contexts)) if size != held.facts.context]
    if not others or not any(found.device == device.name for found in estimates):
        return
    graph = io.load(held.path / DECODE)
    for size in others:
        progress.say(f"Estimating a token at a context of {size} for {device.name}")
        model = decode_at(graph, held.facts, size)
        found = Model(model, device, memory=Memory(cache)).estimate("decode")
        yield _context(held, found, size)


def _context(held: Folder, found: EstimateRecord, size: int) -> ContextTimeRecord:
    return ContextTimeRecord(
        device=found.device,
        estimated_on=found.estimated_on,
        context=size,
        us=found.us,
        cache_bytes=cache_bytes(held.facts, size),
        ddr_bytes=sum(found.ddr_bytes.values()),
        missing_ops=found.missing_ops,
    )
