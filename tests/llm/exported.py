"""A decoder as other tools export it: by PyTorch's exporter, with the names of Transformers.

Written apart from the code under test and from `reference`: keys and values repeated for all heads,
RoPE as `x * cos + rotate_half(x) * sin`, RMSNorm in its parts, the cache `[1, heads, rows, size]`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.llm import reference

torch = reference.torch
functional = torch.nn.functional


class Exported(torch.nn.Module):
    """A graph of so many rows.

    Args:
        config: sizes, as in `reference`.
        weights: likewise.
        growth: what outputs of the cache hold: `new`, `whole` or `in place`.
        packed: whether q, k and v are one product, and gate and up another.
        empty: whether it begins with an empty cache, and has no input for one.
        additive: whether the mask is one that is added, `[1, 1, rows, context]`.
        neighbours: whether RoPE turns channels 2i and 2i + 1 with each other.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        weights: Mapping[str, Any],
        growth: str = "new",
        *,
        additive: bool = False,
        neighbours: bool = False,
        empty: bool = False,
        packed: bool = False,
    ) -> None:
        super().__init__()
        self.packed = packed
        self.empty = empty
        self.config, self.growth = config, growth
        self.additive, self.neighbours = additive, neighbours
        self.held = {name: torch.nn.Parameter(value) for name, value in weights.items()}
        for name, value in self.held.items():
            self.register_parameter(name.replace(".", "_"), value)
        size = config["head_dim"]
        frequencies = config["rope_theta"] ** (-torch.arange(0, size, 2).float() / size)
        self.register_buffer("inv_freq", frequencies)

    def forward(self, ids: Any, positions: Any, mask: Any, *past: Any) -> Any:
        """Logits behind each row, and the cache."""
        x = self.held["model.embed_tokens.weight"][ids]
        angles = positions[..., None].float() * self.inv_freq
        if self.neighbours:
            angles = angles[..., None].expand(*angles.shape, 2).reshape(*angles.shape[:-1], -1)
        else:
            angles = torch.cat([angles, angles], -1)
        turn = (torch.cos(angles)[:, None], torch.sin(angles)[:, None])
        hidden = self._hidden(mask, positions, ids.shape[1])
        given = []
        for layer in range(self.config["num_hidden_layers"]):
            prefix = f"model.layers.{layer}."
            own = {k.removeprefix(prefix): v for k, v in self.held.items() if k.startswith(prefix)}
            y = self._norm(x, own["input_layernorm.weight"])
            y, new = self._attention(
                own, y, turn, hidden, past[2 * layer : 2 * layer + 2], positions
            )
            given += new
            x = x + y
            y = self._norm(x, own["post_attention_layernorm.weight"])
            gate, up = self._products(own, "mlp", ("gate_proj", "up_proj"), y)
            y = functional.silu(gate) * up
            x = x + functional.linear(y, own["mlp.down_proj.weight"])
        x = self._norm(x, self.held["model.norm.weight"])
        return functional.linear(x, self.held["model.embed_tokens.weight"]), *given

    def _norm(self, x: Any, weight: Any) -> Any:
        mean = x.pow(2).mean(-1, keepdim=True)
        return weight * (x * torch.rsqrt(mean + self.config["rms_norm_eps"]))

    def _hidden(self, mask: Any, positions: Any, rows: int) -> Any:
        """What is added to the logits of attention, `[1, 1, rows, context]`."""
        if self.additive:
            return mask
        context = mask.shape[-1]
        columns = torch.arange(context)
        if self.growth == "in place":
            seen = columns <= positions[0][:, None]
        else:
            seen = columns <= torch.arange(context - rows, context)[:, None]
        return torch.where(seen & (mask[0] > 0), 0.0, -1e9)[None, None]

    def _attention(
        self, own: Mapping[str, Any], x: Any, turn: Any, hidden: Any, past: Any, positions: Any
    ) -> Any:
        size = self.config["head_dim"]

        def heads(y: Any) -> Any:
            return y.view(1, x.shape[1], -1, size).transpose(1, 2)

        q, k, v = map(heads, self._products(own, "self_attn", ("q_proj", "k_proj", "v_proj"), x))
        q, k = self._turned(q, turn), self._turned(k, turn)
        if self.growth == "in place":
            keys, values = (
                held.index_copy(2, positions[0], new)
                for held, new in zip(past, (k, v), strict=True)
            )
        elif self.empty:
            keys, values = k, v
        else:
            keys, values = (
                torch.cat([held, new], 2) for held, new in zip(past, (k, v), strict=True)
            )
        groups = q.shape[1] // k.shape[1]
        repeated = [
            held[:, :, None].expand(-1, -1, groups, -1, -1).reshape(1, q.shape[1], -1, size)
            for held in (keys, values)
        ]
        logits = q @ repeated[0].transpose(2, 3) / math.sqrt(size) + hidden
        y = torch.softmax(logits, -1) @ repeated[1]
        y = y.transpose(1, 2).reshape(1, x.shape[1], -1)
        given = [k, v] if self.growth == "new" else [keys, values]
        return functional.linear(y, own["self_attn.o_proj.weight"]), given

    def _products(
        self, own: Mapping[str, Any], part: str, names: tuple[str, ...], x: Any
    ) -> list[Any]:
        """What several layers give of one input."""
        weights = [own[f"{part}.{name}.weight"] for name in names]
        biases = [own.get(f"{part}.{name}.bias") for name in names]
        if not self.packed:
            return [functional.linear(x, w, b) for w, b in zip(weights, biases, strict=True)]
        bias = None if biases[0] is None else torch.cat(biases)
        whole = functional.linear(x, torch.cat(weights), bias)
        return list(torch.split(whole, [len(w) for w in weights], -1))

    def _turned(self, x: Any, turn: Any) -> Any:
        half = x.shape[-1] // 2
        if self.neighbours:
            pairs = x.reshape(*x.shape[:-1], half, 2)
            turned = torch.cat([-pairs[..., 1:], pairs[..., :1]], -1).reshape(x.shape)
        else:
            turned = torch.cat([-x[..., half:], x[..., :half]], -1)
        return x * turn[0] + turned * turn[1]


def export_pair(
    folder: Path,
    config: Mapping[str, Any],
    weights: Mapping[str, Any],
    growth: str = "new",
    *,
    context: int = 64,
    rows: tuple[int, int] = (16, 1),
    empty: bool = False,
    **more: bool,
) -> tuple[Path, Path]:
    """Writes both graphs by PyTorch's exporter; `empty` is for the first."""
    folder.mkdir(parents=True, exist_ok=True)
    files = (folder / "p.onnx", folder / "d.onnx")
    for file, count in zip(files, rows, strict=True):
        first = empty and count > 1
        module = Exported(config, weights, growth, empty=first, **more)
        _export(file, module, count if first else context, count)
    return files


def export_dynamic(file: Path, config: Mapping[str, Any], weights: Mapping[str, Any]) -> Path:
    """Writes one graph for any number of tokens, as optimum does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    _export(file, Exported(config, weights, "whole"), 12, 4, dynamic=True)
    return file


def _export(
    file: Path, module: Exported, context: int, rows: int, *, dynamic: bool = False
) -> None:
    config = module.config
    held = context if module.growth == "in place" else context - rows
    shape = (1, config["num_key_value_heads"], held, config["head_dim"])
    mask = torch.zeros(1, 1, rows, context) if module.additive else torch.ones(1, context).long()
    layers = range(config["num_hidden_layers"])
    names = [f"past_key_values.{layer}.{kind}" for layer in layers for kind in ("key", "value")]
    past = [] if module.empty else [torch.zeros(shape) for _ in names]
    axes = {name: {1: "sequence"} for name in ("input_ids", "position_ids")}
    axes |= {"attention_mask": {1: "past + sequence"}} | {name: {2: "past"} for name in names}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.zeros(1, rows).long(), torch.arange(rows)[None], mask, *past),
            str(file),
            input_names=["input_ids", "position_ids", "attention_mask", *names[: len(past)]],
            output_names=[
                "logits",
                *(name.replace("past_key_values", "present") for name in names),
            ],
            dynamic_axes=axes if dynamic else None,
            dynamo=False,
            opset_version=17,
        )
