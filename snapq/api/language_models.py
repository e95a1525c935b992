"""`llm_init`, `llm_generate`: decoder language models as pairs of graphs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.language_model_folders import refuse_other
from snapq.api.language_model_results import Generated, LanguageModel
from snapq.api.public import public
from snapq.api.shared import refuse_existing
from snapq.errors import ConfigError

if TYPE_CHECKING:
    from snapq.llm.files import Facts

__all__ = [
    "llm_generate",
    "llm_init",
]


@public
def llm_init(
    weights: str | Path,
    output: str | Path,
    *,
    context: int = 256,
    prefill: int = 128,
    decode: str | Path | None = None,
    overwrite: bool = False,
) -> LanguageModel:
    """Writes a decoder of the Llama type as two float graphs of fixed shapes.

    `prefill.onnx` reads `prefill` tokens of a prompt at once, `decode.onnx` one token; both take
    and give the cache of keys and values, and read their weights from one `weights.bin`. A
    `deploy.yaml` beside them is the whole road as `run` takes it, once it names your text.

    Args:
        weights: a GGUF file, a folder with safetensors, config.json and tokenizer.json, or an ONNX
            export of such a decoder with its cache, of dynamic shapes, beside its tokenizer.json.
        output: the folder to write.
        context: positions that attention sees: prompt and answer together.
        prefill: tokens of a prompt at once, at most half of the context.
        decode: of a pair of your own the graph of one token, where `weights` is the one of many;
            sizes are those of the graphs then.
        overwrite: whether `output` may exist; it is replaced as a whole.

    Raises:
        ConfigError: the sizes do not fit, or `output` exists.
        ModelError: the weights cannot be read, or are of a kind that is not taken.
        InstallError: a library of the extra `llm` is missing.
        StorageError: the folder cannot be written.
    """
    from snapq.api.initialization import device_remark
    from snapq.api.language_initialization import language_text
    from snapq.api.yaml_text import run_name
    from snapq.llm.files import DECODE, DEPLOYMENT, PREFILL
    from snapq.storage import write_text

    folder = Path(output)
    refuse_existing(folder, overwrite)
    refuse_other(folder, weights)
    if decode is not None:
        refuse_other(folder, decode)
    graph = Path(decode) if decode is not None else None
    facts, parameters = _written(Path(weights), graph, (context, prefill), folder)
    pair = folder / PREFILL, folder / DECODE
    name = run_name(folder.absolute().name)
    text = language_text(pair, name, device_remark(None), folder.absolute(), DEPLOYMENT)
    write_text(folder / DEPLOYMENT, text)
    return LanguageModel(
        folder, facts.family, facts.layers, parameters, facts.context, facts.prefill
    )


def _written(
    weights: Path, decode: Path | None, wanted: tuple[int, int], folder: Path
) -> tuple[Facts, int]:
    """Writes the pair of weights, of an export, or of another pair; what it is, and how large."""
    from snapq.llm.pairs.export import export_of
    from snapq.llm.pairs.taken import read_pair
    from snapq.llm.pairs.vocabulary import find_tokenizer, read_vocabulary
    from snapq.llm.pairs.writing import write_taken
    from snapq.llm.reading.open import read_checkpoint
    from snapq.llm.write import Sizes, check_context, check_sizes, prepared_weights, write_pair

    sizes = Sizes(*wanted)
    export = export_of(weights)
    if export is None and decode is None:
        checkpoint = read_checkpoint(weights)
        check_sizes(checkpoint, sizes)
        facts = write_pair(checkpoint, prepared_weights(checkpoint), sizes, folder)
        return facts, checkpoint.weights.parameters
    if decode is not None:
        taken = read_pair(weights, decode)
    else:
        assert export is not None
        check_context(sizes)
        taken = read_pair(export, export, sizes)
    vocabulary = read_vocabulary(find_tokenizer(None, taken.prefill.path))
    return write_taken(taken, vocabulary, folder).facts, taken.weights.parameters


@public
def llm_generate(
    folder: str | Path,
    prompt: str,
    *,
    tokens: int = 64,
    raw: bool = False,
    device: str | None = None,
) -> Generated:
    """Lets the graphs of a folder answer, the likeliest token each.

    Args:
        folder: what `llm_init` or `llm_quantize` wrote.
        prompt: the question.
        tokens: at most so many.
        raw: take the prompt as it is, and not as a question by the model's chat template.
        device: on the simulator of this one's NPU, which takes seconds a token; on this machine's
            CPU where not given.

    Raises:
        DataError: the prompt is empty, or longer than the context.
        ModelError: the folder is none, or damaged.
        InstallError: a library of the extra `llm` is missing.
    """
    from snapq.devices.profiles import find
    from snapq.llm.chat import asked
    from snapq.llm.evidence import on_cpu, simulated
    from snapq.llm.files import TOKENIZER, Folder
    from snapq.llm.tokens import Tokens

    if tokens < 1:
        raise ConfigError(f"An answer of {tokens} tokens is none.", where="--tokens")
    opened = Folder.open(Path(folder))
    facts = opened.facts
    words = Tokens.read(opened.path / TOKENIZER)
    ids = words.ids(prompt) if raw else asked(opened, words, prompt)
    if device is None:
        said = on_cpu(opened).continued(ids, tokens, facts.ends)
    else:
        with simulated(opened, find(device)) as speaker:
            said = speaker.continued(ids, tokens, facts.ends)
    full = len(ids) + len(said) >= facts.context
    return Generated(len(ids), tuple(said), words.text(said), len(said) < tokens and not full)
