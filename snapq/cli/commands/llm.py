"""Commands about language models: from published weights to a quantized pair of graphs."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.completion import complete_devices
from snapq.cli.options import Device, Force, Json, existing
from snapq.cli.output.json import emit
from snapq.cli.output.text import say
from snapq.precision import PairPrecision

_LARGEST = 1 << 20

AnyPair = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="What `snapq llm init` or `quantize` wrote.")
]
Quantized = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="What `snapq llm quantize` wrote.")
]
FloatPair = Annotated[Path, typer.Argument(metavar="FOLDER", help="What `snapq llm init` wrote.")]
Output = Annotated[Path, typer.Option("--out", "--output", "-o", help="The folder to write.")]

llm = typer.Typer(
    name="llm",
    help="Language models: from published weights to a quantized pair of graphs.",
    no_args_is_help=True,
)


@llm.command()
def init(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="WEIGHTS",
            help="A GGUF file, a folder with safetensors, config.json and tokenizer.json, or an "
            "ONNX export with its cache, beside its tokenizer.json.",
        ),
    ],
    output: Output,
    context: Annotated[
        int, typer.Option(min=1, max=_LARGEST, help="Positions of prompt and answer together.")
    ] = 256,
    prefill: Annotated[
        int, typer.Option(min=1, max=_LARGEST, help="Tokens of a prompt that are read at once.")
    ] = 128,
    decode: Annotated[
        Path | None,
        typer.Option(
            help="Of a pair of your own, its graph of one token: WEIGHTS is the one of many, and "
            "sizes are theirs."
        ),
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a decoder of the Llama type as two float ONNX graphs of fixed shapes.

    Example: snapq llm init SmolLM2-135M-Instruct.Q8_0.gguf --out smollm2 --context 256
    Example: snapq llm init prefill.onnx --decode decode.onnx --out mine
    """
    from snapq import api

    done = api.llm_init(
        existing(weights),
        output,
        context=context,
        prefill=prefill,
        decode=existing(decode) if decode is not None else None,
        overwrite=force,
    )
    if json:
        emit({**asdict(done), "path": str(done.path)})
        return
    millions = f"{done.parameters / 1e6:,.1f} million parameters"
    say(
        f"Wrote {output}: {done.family}, {done.layers} layers, {millions}; "
        f"context {done.context}, {done.prefill} tokens at once."
    )
    say(f"Name your text in {output}/deploy.yaml, and `snapq run` does all the rest.")
    say(f'Try it: snapq llm generate {shlex.quote(str(output))} "What is the capital of Italy?"')


@llm.command()
def quantize(
    folder: FloatPair,
    text: Annotated[
        Path, typer.Option(help="Text in UTF-8 like what the model will read and write.")
    ],
    output: Output,
    device: Annotated[
        list[str],
        typer.Option(
            help="Chip that the pair shall run on; may be repeated.",
            autocompletion=complete_devices,
        ),
    ],
    precision: Annotated[
        PairPrecision, typer.Option(help="w4a16: 4 bits in q, k, gate and up, 8 in the rest.")
    ] = PairPrecision.W8A16,
    eight_bits: Annotated[
        str | None,
        typer.Option(
            metavar="PARTS",
            help="At w4a16, what keeps 8 bits: of q, k, v, o, gate, up, down, head and numbers of "
            "layers, with commas between.",
            show_default="v,o,down,head",
        ),
    ] = None,
    tokens: Annotated[
        int, typer.Option(min=1, max=_LARGEST, help="Use at most so many of the text's.")
    ] = 1024,
    force: Force = False,
    json: Json = False,
) -> None:
    """Quantize a float pair, with a cache of 8 bits and one set of encodings for both graphs.

    Example: snapq llm quantize smollm2 --text chats.txt --out smollm2-w8a16 --device qcs9075
    """
    from snapq import api
    from snapq.cli.output.progress import Bars

    done = api.llm_quantize(
        existing(folder),
        existing(text),
        output,
        device,
        precision=precision,
        eight_bits=None if eight_bits is None else [eight_bits],
        tokens=tokens,
        overwrite=force,
        progress=Bars(),
    )
    if json:
        emit({**asdict(done), "path": str(done.path)})
        return
    say(
        f"Wrote {output}: {done.precision}, cache of 8 bits, calibrated with {done.tokens:,} "
        f"tokens; equalizing the cache moved no float logit by more than {done.logit_shift:.1e}."
    )
    for note in done.notes:
        say(f"Note: {note}")
    near = f"snapq llm evaluate {shlex.quote(str(output))} --float {shlex.quote(str(folder))}"
    say(f"See how near to float it is: {near} --text OTHER.txt --device {device[0]}")


@llm.command()
def evaluate(
    folder: Quantized,
    float_: Annotated[
        Path, typer.Option("--float", help="The float pair that it was quantized from.")
    ],
    text: Annotated[Path, typer.Option(help="Text in UTF-8 that did not calibrate.")],
    device: Device,
    tokens: Annotated[
        int, typer.Option(min=1, max=_LARGEST, help="Use at most so many of the text's.")
    ] = 256,
    json: Json = False,
) -> None:
    """Compare a quantized pair with the float one on a text, on the simulator of a chip.

    Example: snapq llm evaluate smollm2-w8a16 --float smollm2 --text held_out.txt --device qcs9075
    """
    from snapq import api
    from snapq.cli.output.progress import Bars

    done = api.llm_evaluate(
        existing(folder), existing(float_), existing(text), device, tokens=tokens, progress=Bars()
    )
    if json:
        emit(asdict(done))
        return
    ratio = done.perplexity / done.float_perplexity
    say(
        f"Perplexity {done.perplexity:.2f} simulated on {done.device}, {done.float_perplexity:.2f} "
        f"in float: {ratio:.3f} times as high."
    )
    say(
        f"Same next token: {done.agreement:.1%} of {done.tokens:,}; logits {done.sqnr_db:.1f} dB "
        f"SQNR; {done.seconds:.0f} s of simulation."
    )


@llm.command()
def frontier(
    folder: FloatPair,
    text: Annotated[Path, typer.Option(help="Text in UTF-8 that calibrates.")],
    evaluation: Annotated[Path, typer.Option(help="Another text in UTF-8, which judges.")],
    device: Device,
    eight_bits: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PARTS",
            help="A mix of w4a16 to try, as `quantize` takes it; may be repeated. Five where none "
            "is given.",
        ),
    ] = None,
    tokens: Annotated[
        int, typer.Option(min=1, max=_LARGEST, help="Use at most so many that calibrate.")
    ] = 1024,
    json: Json = False,
) -> None:
    """Quantize in several mixes of 8 and 4 bits: what a token takes, and how near float is.

    Example: snapq llm frontier smollm2 --text chats.txt --evaluation held_out.txt --device qcs9075
    """
    from snapq import api
    from snapq.cli.output.progress import Bars

    found = api.llm_frontier(
        existing(folder),
        existing(text),
        existing(evaluation),
        device,
        eight_bits=[[one] for one in eight_bits or ()],
        tokens=tokens,
        progress=Bars(),
    )
    if json:
        emit([asdict(one) for one in found])
        return
    first = found[0]
    say(
        f"Times are estimated for {first.device}; perplexity over that of float and the same next "
        f"token are of {first.tokens:,} tokens on the CPU. * no other is as fast and as near."
    )
    for one in found:
        parts = f", 8 bits in {' '.join(one.eight_bits)}" if one.eight_bits else ""
        ratio = one.perplexity / one.float_perplexity
        say(
            f"{'*' if one.best else ' '} {one.decode_us:7,.0f} us a token, "
            f"{one.ddr_bytes / 1e6:6,.1f} MB of traffic, perplexity {ratio:.3f}, "
            f"same {one.agreement:.1%}: {one.precision}{parts}"
        )


@llm.command()
def estimate(
    folder: AnyPair,
    device: Device,
    json: Json = False,
) -> None:
    """Estimate the time of a prompt and of a token on the NPU, without a device.

    Example: snapq llm estimate smollm2-w8a16 --device qcs9075
    """
    from snapq import api

    done = api.llm_estimate(existing(folder), device)
    if json:
        emit({**asdict(done), "tokens_per_second": done.tokens_per_second})
        return
    on = "" if done.estimated_on == done.device else f" (the estimate of {done.estimated_on})"
    say(
        f"Estimated for {done.device}{on}, accelerator time: {done.prefill_tokens} tokens of a "
        f"prompt {done.prefill_us:,.0f} us; one token {done.decode_us:,.0f} us, "
        f"{done.tokens_per_second:,.0f} tokens a second."
    )
    if done.missing_ops:
        say(f"Note: {done.missing_ops} operators have no cost and are left out of these times.")


@llm.command()
def generate(
    folder: AnyPair,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="The question.")],
    tokens: Annotated[int, typer.Option(min=1, max=_LARGEST, help="At most so many.")] = 64,
    raw: Annotated[
        bool, typer.Option("--raw", help="The prompt as it is, without the chat template.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            help="On the simulator of this chip, seconds a token; not given: on the CPU.",
            autocompletion=complete_devices,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Let a pair of graphs answer, the likeliest token each.

    Example: snapq llm generate smollm2 "What is the capital of Italy?" --tokens 32
    Example: snapq llm generate smollm2-w8a16 "Hello" --tokens 8 --device qcs9075
    """
    from snapq import api

    done = api.llm_generate(existing(folder), prompt, tokens=tokens, raw=raw, device=device)
    if json:
        emit(asdict(done))
        return
    say(done.text)


@llm.command()
def package(
    folder: Quantized,
    output: Output,
    device: Device,
    shared: Annotated[
        bool, typer.Option(help="Also compile both graphs into one binary: half the bytes.")
    ] = True,
    force: Force = False,
    json: Json = False,
) -> None:
    """Compile a quantized pair for a chip into a folder that onnxruntime-genai runs.

    Example: snapq llm package smollm2-w8a16 --out chat --device qcs9075
    """
    from snapq import api
    from snapq.cli.output.progress import Bars

    done = api.llm_package(
        existing(folder), output, device, shared=shared, overwrite=force, progress=Bars()
    )
    if json:
        emit({**asdict(done), "path": str(done.path)})
        return
    both = ""
    if done.shared_bytes is not None:
        both = f", {done.shared_bytes / 1e6:,.1f} MB where both share one"
    say(f"Wrote {output} for {done.device}: binaries of {done.separate_bytes / 1e6:,.1f} MB{both}.")
    if done.decode_us is not None and done.prefill_us is not None:
        say(
            f"Estimated, accelerator time: a window of a prompt {done.prefill_us:,.0f} us, a token "
            f"{done.decode_us:,.0f} us."
        )
    say(f"{output}/README.md says how to run it on the device.")


@llm.command()
def check(
    folder: Annotated[
        Path, typer.Argument(metavar="PACKAGE", help="What `snapq llm package` wrote.")
    ],
    float_: Annotated[Path, typer.Option("--float", help="The float pair that it was made from.")],
    prompt: Annotated[str, typer.Option(help="The question.")] = "What is the capital of Italy?",
    tokens: Annotated[int, typer.Option(min=1, max=_LARGEST, help="At most so many.")] = 8,
    raw: Annotated[
        bool, typer.Option("--raw", help="The prompt as it is, without the chat template.")
    ] = False,
    json: Json = False,
) -> None:
    """Run a package by onnxruntime-genai on the simulator, beside the float pair's answer.

    Ends with 1 where the tokens differ.

    Example: snapq llm check chat --float smollm2 --tokens 8
    """
    from snapq import api

    done = api.llm_check(existing(folder), existing(float_), prompt, tokens=tokens, raw=raw)
    if json:
        emit({**asdict(done), "same": done.same, "passed": done.passed})
    else:
        say(
            f"{done.same} of {len(done.wanted)} tokens are those of float ({done.seconds:.0f} s on "
            f"the simulator): {done.text}"
        )
    if not done.passed:
        raise typer.Exit(1)
