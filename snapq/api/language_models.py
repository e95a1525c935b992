"""`llm_init` and `llm_generate`: decoder language models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from snapq.api.public import public
from snapq.api.shared import refuse_existing
from snapq.errors import ConfigError

__all__ = ["Generated", "LanguageModel", "llm_generate", "llm_init"]


@dataclass(frozen=True)
class LanguageModel:
    """A folder with a pair of float graphs.

    Attributes:
        path: the folder.
        family: of the decoder, such as `llama`.
        layers: how many.
        parameters: how many numbers its weights are.
        context: positions that attention sees.
        prefill: tokens of a prompt at once.
    """

    path: Path
    family: str
    layers: int
    parameters: int
    context: int
    prefill: int


@dataclass(frozen=True)
class Generated:
    """What a model said.

    Attributes:
        prompt_tokens: of the question, as the model saw it.
        tokens: of the answer.
        text: of the answer.
        ended: whether the model ended it; else it was cut off.
    """

    prompt_tokens: int
    tokens: tuple[int, ...]
    text: str
    ended: bool


@public
def llm_init(
    weights: str | Path,
    output: str | Path,
    *,
    context: int = 256,
    prefill: int = 128,
    overwrite: bool = False,
) -> LanguageModel:
    """Writes a decoder of the Llama type as two float graphs of fixed shapes.

    `prefill.onnx` reads `prefill` tokens of a prompt at once, `decode.onnx` one token; both take
    and give the cache of keys and values, and read their weights from one `weights.bin`.

    Args:
        weights: a GGUF file, or a folder with safetensors, config.json and tokenizer.json.
        output: the folder to write.
        context: positions that attention sees: prompt and answer together.
        prefill: tokens of a prompt at once, at most half of the context.
        overwrite: whether `output` may exist; it is replaced as a whole.

    Raises:
        ConfigError: the sizes do not fit, or `output` exists.
        ModelError: the weights cannot be read, or are of a kind that is not taken.
        InstallError: a library of the extra `llm` is missing.
        StorageError: the folder cannot be written.
    """
    from snapq.llm.reading.open import read_checkpoint
    from snapq.llm.write import Sizes, check_sizes, prepared_weights, write_pair

    folder = Path(output)
    refuse_existing(folder, overwrite)
    _refuse_other(folder)
    checkpoint = read_checkpoint(Path(weights))
    sizes = Sizes(context, prefill)
    check_sizes(checkpoint, sizes)
    facts = write_pair(checkpoint, prepared_weights(checkpoint), sizes, folder)
    parameters = checkpoint.weights.parameters
    return LanguageModel(folder, facts.family, facts.layers, parameters, context, prefill)


@public
def llm_generate(
    folder: str | Path, prompt: str, *, tokens: int = 64, raw: bool = False
) -> Generated:
    """Lets the float graphs of a folder answer on this machine's CPU, the likeliest token each.

    Args:
        folder: what `llm_init` wrote.
        prompt: the question.
        tokens: at most so many.
        raw: take the prompt as it is, and not as a question by the model's chat template.

    Raises:
        DataError: the prompt is empty, or longer than the context.
        ModelError: the folder is none, or damaged.
        InstallError: a library of the extra `llm` is missing.
    """
    from snapq.cpu import CpuModel
    from snapq.llm.chat import asked
    from snapq.llm.files import DECODE, PREFILL, TOKENIZER, Folder
    from snapq.llm.speaker import Speaker
    from snapq.llm.tokens import Tokens
    from snapq.runtime import processors

    if tokens < 1:
        raise ConfigError(f"An answer of {tokens} tokens is none.", where="--tokens")
    opened = Folder.open(Path(folder))
    facts = opened.facts
    words = Tokens.read(opened.path / TOKENIZER)
    ids = words.ids(prompt) if raw else asked(opened, words, prompt)
    threads = processors()
    prefill = CpuModel(opened.path / PREFILL, threads=threads, spin=False)
    decode = CpuModel(opened.path / DECODE, threads=threads, spin=False)
    speaker = Speaker(facts.layout, prefill.run, decode.run, facts.prefill)
    said = speaker.continued(ids, tokens, facts.ends)
    full = len(ids) + len(said) >= facts.context
    return Generated(len(ids), tuple(said), words.text(said), len(said) < tokens and not full)


def _refuse_other(folder: Path) -> None:
    """Refuses to replace a folder that holds something else than a language model."""
    from snapq.llm.files import FACTS

    if folder.is_dir() and any(folder.iterdir()) and not (folder / FACTS).is_file():
        raise ConfigError(
            "The folder holds something else, and would be replaced as a whole.",
            where=str(folder),
            hint="Name a new folder.",
        )
