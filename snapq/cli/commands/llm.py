"""Commands about language models: write a decoder's graphs, and let them answer."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.options import Force, Json, existing
from snapq.cli.output.json import emit
from snapq.cli.output.text import say

_LARGEST = 1 << 20

llm = typer.Typer(
    name="llm",
    help="Language models: from published weights to graphs of fixed shapes.",
    no_args_is_help=True,
)


@llm.command()
def init(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="WEIGHTS",
            help="A GGUF file, or a folder with safetensors, config.json and tokenizer.json.",
        ),
    ],
    output: Annotated[Path, typer.Option("--out", "--output", "-o", help="The folder to write.")],
    context: Annotated[
        int, typer.Option(min=1, max=_LARGEST, help="Positions of prompt and answer together.")
    ] = 256,
    prefill: Annotated[
        int, typer.Option(min=1, max=_LARGEST, help="Tokens of a prompt that are read at once.")
    ] = 128,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a decoder of the Llama type as two float ONNX graphs of fixed shapes.

    Example: snapq llm init SmolLM2-135M-Instruct.Q8_0.gguf --out smollm2 --context 256
    """
    from snapq import api

    done = api.llm_init(
        existing(weights), output, context=context, prefill=prefill, overwrite=force
    )
    if json:
        emit({**asdict(done), "path": str(done.path)})
        return
    millions = f"{done.parameters / 1e6:,.1f} million parameters"
    say(
        f"Wrote {output}: {done.family}, {done.layers} layers, {millions}; "
        f" context {done.context}, {done.prefill} tokens at once."
    )
    say(f'Try it: snapq llm generate {shlex.quote(str(output))} "What is the capital of Italy?"')


@llm.command()
def generate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `snapq llm init` wrote.")],
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="The question.")],
    tokens: Annotated[int, typer.Option(min=1, max=_LARGEST, help="At most so many.")] = 64,
    raw: Annotated[
        bool, typer.Option("--raw", help="The prompt as it is, without the chat template.")
    ] = False,
    json: Json = False,
) -> None:
    """Let the float graphs answer on this machine's CPU, the likeliest token each.

    Example: snapq llm generate smollm2 "What is the capital of Italy?" --tokens 32
    """
    from snapq import api

    done = api.llm_generate(existing(folder), prompt, tokens=tokens, raw=raw)
    if json:
        emit(asdict(done))
        return
    say(done.text)
