"""A decoder in PyTorch, written from the papers and apart from the code under test.

RMSNorm (Zhang and Sennrich, 2019), RoPE on halves (Su et al., 2021), grouped queries (Ainslie et
al., 2023), SwiGLU (Shazeer, 2020). Weights are named as in Transformers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
for _library in ("gguf", "safetensors", "tokenizers"):
    pytest.importorskip(_library)
functional = torch.nn.functional

SMALL: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 80,
    "vocab_size": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
    "eos_token_id": 7,
}

Tensors = dict[str, Any]


def random_weights(
    config: Mapping[str, Any], seed: int = 0, *, bias: Sequence[str] = (), qk_norm: bool = False
) -> Tensors:
    """Weights that make logits differ by several units; `bias` names layers that have one."""
    random = torch.Generator().manual_seed(seed)
    hidden, size = config["hidden_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * size, config["num_key_value_heads"] * size
    inner = config["intermediate_size"]

    def drawn(*shape: int) -> Any:
        return torch.randn(shape, generator=random) * 1.5 / math.sqrt(shape[-1])

    found = {"model.embed_tokens.weight": drawn(config["vocab_size"], hidden) * 4}
    for layer in range(config["num_hidden_layers"]):
        shapes = {
            "self_attn.q_proj": (queries, hidden),
            "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden),
            "self_attn.o_proj": (hidden, queries),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
        }
        for name, shape in shapes.items():
            found[f"model.layers.{layer}.{name}.weight"] = drawn(*shape)
            if name.split(".")[1] in bias:
                found[f"model.layers.{layer}.{name}.bias"] = drawn(shape[0])
        norms = ["input_layernorm", "post_attention_layernorm"]
        for name in norms:
            found[f"model.layers.{layer}.{name}.weight"] = 1 + drawn(hidden)
        for name in ("q_norm", "k_norm") if qk_norm else ():
            found[f"model.layers.{layer}.self_attn.{name}.weight"] = 1 + drawn(size)
    found["model.norm.weight"] = 1 + drawn(hidden)
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = drawn(config["vocab_size"], hidden)
    return found


def logits(config: Mapping[str, Any], weights: Tensors, ids: Sequence[int]) -> Any:
    """Logits `[tokens, vocabulary]` behind each token of a text."""
    torch.set_num_threads(1)  # more wait for each other longer than such a model takes
    x = weights["model.embed_tokens.weight"][torch.tensor(ids)]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        x = x + _attention(config, own, _norm(config, x, own["input_layernorm.weight"]))
        y = _norm(config, x, own["post_attention_layernorm.weight"])
        gate = functional.silu(_linear(own, "mlp.gate_proj", y))
        x = x + _linear(own, "mlp.down_proj", gate * _linear(own, "mlp.up_proj", y))
    head = "model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"
    return _norm(config, x, weights["model.norm.weight"]) @ weights[head].T


def _linear(own: Tensors, name: str, x: Any) -> Any:
    return functional.linear(x, own[f"{name}.weight"], own.get(f"{name}.bias"))


def _norm(config: Mapping[str, Any], x: Any, weight: Any) -> Any:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + config["rms_norm_eps"]) * weight


def _attention(config: Mapping[str, Any], own: Tensors, x: Any) -> Any:
    size, tokens = config["head_dim"], len(x)

    def heads(name: str) -> Any:
        y = _linear(own, f"self_attn.{name}_proj", x).view(tokens, -1, size)
        norm = own.get(f"self_attn.{name}_norm.weight")
        return (y if norm is None else _norm(config, y, norm)).transpose(0, 1)

    q, k, v = _turned(config, heads("q")), _turned(config, heads("k")), heads("v")
    groups = q.shape[0] // k.shape[0]
    k, v = k.repeat_interleave(groups, 0), v.repeat_interleave(groups, 0)
    given = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return _linear(own, "self_attn.o_proj", given.transpose(0, 1).reshape(tokens, -1))


def _turned(config: Mapping[str, Any], x: Any) -> Any:
    size = config["head_dim"]
    frequencies = config["rope_theta"] ** (-torch.arange(0, size, 2).double() / size)
    scaling = config.get("rope_scaling") or {}
    if scaling.get("rope_type") == "linear":
        frequencies = frequencies / scaling["factor"]
    if scaling.get("rope_type") == "llama3":
        frequencies = torch.stack([_llama3(f, scaling) for f in frequencies])
    angles = torch.arange(x.shape[1])[:, None] * frequencies
    turn = torch.polar(torch.ones_like(angles), angles)
    pairs = torch.complex(x[..., : size // 2].double(), x[..., size // 2 :].double()) * turn
    return torch.cat([pairs.real, pairs.imag], -1).float()


def _llama3(frequency: Any, scaling: Mapping[str, Any]) -> Any:
    """As the reference code of Llama 3.1 has it, wave by wave."""
    wave = 2 * math.pi / float(frequency)
    whole = scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    if wave < whole / high:
        return frequency
    if wave > whole / low:
        return frequency / scaling["factor"]
    smooth = (whole / wave - low) / (high - low)
    return (1 - smooth) * frequency / scaling["factor"] + smooth * frequency


def write_folder(
    folder: Path, config: Mapping[str, Any], weights: Tensors, dtype: Any = None
) -> Path:
    """The folder as Transformers publishes it, with a token for each byte."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    stored = {name: tensor.to(dtype or tensor.dtype) for name, tensor in weights.items()}
    save_file(stored, str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps(dict(config)))
    write_tokenizer(folder / "tokenizer.json")
    return folder


def write_tokenizer(path: Path) -> None:
    """A tokenizer of 256 tokens, a byte each."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({text: index for index, text in enumerate(bytes_)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(path))


def write_gguf(path: Path, config: Mapping[str, Any], weights: Tensors) -> Path:
    """The file as llama.cpp's converter writes a Llama: rows of q and k in neighbouring pairs."""
    import gguf

    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for name, tensor in weights.items():
        for part, count in heads.items():
            if f".{part}." in name:
                halves = tensor.reshape(count, 2, tensor.shape[0] // count // 2, *tensor.shape[1:])
                tensor = halves.swapaxes(1, 2).reshape(tensor.shape)
        stem, kind = name.rsplit(".", 1)
        writer.add_tensor(f"{names.get_name(stem)}.{kind}", tensor.numpy())
    _add_tokens(writer, config["vocab_size"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokens(writer: Any, count: int) -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    bytes_ = sorted(ByteLevel.alphabet())
    tokens = [*bytes_[: count - 1], bytes_[40] + bytes_[41]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges([f"{tokens[40]} {tokens[41]}"])
    writer.add_eos_token_id(7)
