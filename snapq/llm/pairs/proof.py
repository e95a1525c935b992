"""That a pair which was taken apart computes what the decoder does: both are run on tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph.shapes import static_shape
from snapq.llm.pairs.graph import TakenGraph
from snapq.llm.pairs.ports import Growth, Join
from snapq.llm.pairs.taken import TakenPair
from snapq.llm.speaker import Speaker
from snapq.runtime import processors

__all__ = ["check_equal"]

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]
_NEAR = 2e-3
"""Of the largest logit: what float32 gives for the same sums in another order, and to spare."""
_STEPS = 3
_SEED = 7


def check_equal(pair: TakenPair, speaker: Speaker) -> float:
    """Runs a window and some tokens behind it by the pair as given and by the one written of it.

    Args:
        pair: as given.
        speaker: the pair that was written.

    Returns:
        The largest difference of a logit, by the largest logit.

    Raises:
        ModelError: they differ.
    """
    graphs = (pair.prefill, pair.decode)
    random = np.random.default_rng(_SEED)
    ids = random.integers(0, pair.decoder.vocabulary, pair.sizes.prefill + _STEPS).tolist()
    given = _said(graphs, ids)
    logits, state = speaker.listen(speaker.start(), ids[: pair.sizes.prefill])
    found = [np.asarray(logits, np.float32)]
    for token in ids[pair.sizes.prefill :]:
        logits, state = speaker.say(state, token)
        found.append(np.asarray(logits, np.float32))
    worst = 0.0
    for graph, wanted, own in zip((graphs[0], *[graphs[1]] * _STEPS), given, found, strict=True):
        off = float(np.abs(wanted - own).max()) / max(float(np.abs(wanted).max()), 1e-6)
        worst = max(worst, off)
        if not off <= _NEAR:
            raise ModelError(
                f"It computes something else than a decoder of the Llama type with its weights: "
                f"logits differ by {off:.1%} of the largest.",
                where=str(graph.path),
                hint="Only RMSNorm, RoPE over whole heads, grouped queries, SwiGLU and a causal "
                "mask are taken apart; give the weights to `snapq llm init` where it knows them.",
            )
    return worst


def _said(graphs: tuple[TakenGraph, TakenGraph], ids: Sequence[int]) -> list[Floats]:
    """The logits behind the window and behind each token of the pair as given."""
    many = graphs[0]
    caches: dict[str, Array] = {
        name: np.zeros(static_shape(join.past) or (), np.float32)
        for name, join in _by_place(many).items()
        if join.past is not None
    }
    found, length = [], 0
    run: CpuModel | None = None
    rows = many.ports.rows
    for step, part in enumerate([ids[:rows], *([token] for token in ids[rows:])]):
        graph = graphs[1] if step else many
        if step < 2:
            run = None  # the weights of one graph in memory, not of both
            run = CpuModel(graph.path, threads=processors(), spin=False, prepack=False)
        assert run is not None
        joins = _by_place(graph)
        fed = {
            str(join.past.name): _fitted(caches[name], join, static_shape(join.past) or ())
            for name, join in joins.items()
            if join.past is not None
        }
        outputs = run.run({**graph.ports.feeds(part, length), **fed})
        caches = {name: _grown(caches.get(name), outputs, j) for name, j in joins.items()}
        logits = np.asarray(outputs[str(graph.roles.logits.name)], np.float32)
        found.append(logits.reshape(-1, logits.shape[-1])[-1])
        length += len(part)
    return found


def _by_place(graph: TakenGraph) -> dict[str, Join]:
    """The joins by what they hold, which both graphs have alike."""
    return {
        f"{kind} {index}": join
        for index, block in enumerate(graph.roles.blocks)
        for kind, join in (("key", block.keys), ("value", block.values))
    }


def _fitted(cache: Array, join: Join, shape: Sequence[int]) -> Array:
    """As much of a cache as an input takes: its last positions, or zeros beside fewer."""
    axis = join.past_axis
    missing = shape[axis] - cache.shape[axis]
    if missing > 0:
        beside = (0, missing) if join.growth is Growth.IN_PLACE else (missing, 0)
        return np.pad(cache, [beside if i == axis else (0, 0) for i in range(cache.ndim)])
    index = [slice(None)] * cache.ndim
    index[axis] = slice(cache.shape[axis] - shape[axis], None)
    return np.ascontiguousarray(cache[tuple(index)])


def _grown(cache: Array | None, outputs: Mapping[str, Array], join: Join) -> Array:
    """The cache behind a step."""
    given = outputs[str(join.present.name)]
    if join.growth is Growth.NEW and cache is not None:
        return np.concatenate([cache, given], join.past_axis)
    return given
