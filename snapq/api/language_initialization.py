"""The text of a first deploy.yaml for a language model: a pair of graphs."""

from __future__ import annotations

import shlex
from pathlib import Path

from snapq.api.yaml_text import near_path, yaml_value
from snapq.errors import ModelError

__all__ = ["language_text", "pair_of"]

_TEXT = """\
# What snapq does with this language model. Start it: snapq run {file}
# Every key: snapq schema --language-model
name: {name}
model:
  prefill: {prefill}
  decode: {decode}
{tokenizer}devices: [{device}]  # {remark}
text:
  # CHANGE: text in UTF-8 like what the model will read and write, some hundred tokens or more, in
  # the form of its chat template; and another one to compare the quantized pair with float.
  calibration: calibration.txt
  evaluation: evaluation.txt
precision: w8a16  # weights and activations; the cache has 8 bits
contexts: []  # such as [1024, 4096]: sizes for which the report estimates tokens a second too
package: {{shared: true}}  # also one binary for both graphs, of half the bytes
gates:  # one that fails ends the run with code 1
  max_perplexity_ratio: 1.05
  min_next_token_agreement: 0.85
  # max_estimated_us: {{prefill: 13500, decode: 3700}}
"""


def pair_of(model: Path, decode: Path | None) -> tuple[Path, Path] | None:
    """Both graphs that a path names: the folder of a pair, or the first beside the second.

    Raises:
        ModelError: it is a folder without a pair.
    """
    from snapq.graph.other_formats import refuse_folder
    from snapq.llm.files import DECODE, PREFILL

    if decode is not None:
        return model, decode
    if not model.is_dir():
        return None
    found = model / PREFILL, model / DECODE
    if all(path.is_file() for path in found):
        return found
    if (model / "saved_model.pb").is_file():
        refuse_folder(model)
    raise ModelError(
        f"The folder has no {PREFILL} and {DECODE}, as a language model has.",
        where=str(model),
        hint="Name the ONNX file; of a pair of other names both: snapq init P.onnx --decode D.onnx",
    )


def language_text(
    pair: tuple[Path, Path], name: str, device: tuple[str, str], folder: Path, file: str
) -> str:
    """Returns the text of a commented deploy.yaml.

    Args:
        pair: prefill and decode.
        name: of the run.
        device: its name, or several behind each other, and the remark behind them.
        folder: in which the text will lie; paths are relative to it.
        file: name of the file that the text is for.
    """
    from snapq.llm.files import TOKENIZER

    beside = (pair[0].parent / TOKENIZER).is_file()
    missing = "  tokenizer: tokenizer.json  # CHANGE: none lies beside the graphs\n"
    return _TEXT.format(
        file=shlex.quote(file),
        name=yaml_value(name),
        prefill=near_path(pair[0], folder),
        decode=near_path(pair[1], folder),
        tokenizer="" if beside else missing,
        device=device[0],
        remark=device[1],
    )
