"""Talks with the language model of this folder, on the NPU of a Snapdragon.

    python chat.py "What is the capital of Italy?"
    python chat.py                                  # asks for a question again and again
    python chat.py --folder shared                  # the graphs that hold their weights once

Needs onnxruntime-genai 0.16.0, onnxruntime-qnn, tokenizers and jinja2. On x86_64 Linux Qualcomm's
simulator stands for the NPU: the same words, at seconds a token.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROVIDER = "QNNExecutionProvider"
GENAI_VERSION = "0.16.0"
"""Of onnxruntime-genai, which is known to run such a folder."""
NEEDED = f"onnxruntime-genai=={GENAI_VERSION} onnxruntime-qnn tokenizers jinja2"


def main() -> int:
    """Reads the command line and answers."""
    parser = argparse.ArgumentParser(description="Talks with the language model of this folder.")
    parser.add_argument("question", nargs="?", help="asked for where it is not given")
    parser.add_argument("--folder", default="separate", choices=["separate", "shared"])
    parser.add_argument("--tokens", type=int, default=64, help="of an answer, at most")
    parser.add_argument("--raw", action="store_true", help="without the chat template")
    parser.add_argument("--json", action="store_true", help="tokens and times, for programs")
    options = parser.parse_args()
    if options.tokens < 1:
        parser.error("--tokens must be 1 or more")
    if not (HERE / options.folder).is_dir():
        parser.error(f"this package has no folder {options.folder}")
    model, tokenizer = opened(HERE / options.folder)
    try:
        if options.question is not None:
            answer(model, tokenizer, options.question, options)
            return 0
        while question := input("> ").strip():
            answer(model, tokenizer, question, options)
    except EOFError:
        print()
    except KeyboardInterrupt:
        print()
        return 130
    return 0


def opened(folder: Path) -> tuple[Any, Any]:
    """The model and its tokenizer."""
    try:
        import jinja2  # noqa: F401  (by the chat template)
        import onnxruntime_genai
        import onnxruntime_qnn
        from tokenizers import Tokenizer
    except ImportError as error:
        sys.exit(f"chat.py: {error}. Run: pip install {NEEDED}")
    if onnxruntime_genai.__version__ != GENAI_VERSION:
        found = f"onnxruntime-genai is {onnxruntime_genai.__version__}, not {GENAI_VERSION}"
        sys.exit(f"chat.py: {found}. Run: pip install {NEEDED}")
    library = onnxruntime_qnn.get_library_path()
    onnxruntime_genai.register_execution_provider_library(PROVIDER, library)
    return onnxruntime_genai.Model(str(folder)), Tokenizer.from_file(str(HERE / "tokenizer.json"))


def answer(model: Any, tokenizer: Any, question: str, options: argparse.Namespace) -> None:
    """Prints the likeliest answer, token by token."""
    import numpy
    import onnxruntime_genai

    facts = json.loads((HERE / "llm.json").read_text(encoding="utf-8"))
    ids = asked(tokenizer, facts, question, options.raw)
    room = facts["context"] - -(-len(ids) // facts["prefill"]) * facts["prefill"]
    if not ids or room < 1:
        most = (facts["context"] - 1) // facts["prefill"] * facts["prefill"]
        sys.exit(f"chat.py: the question has {len(ids)} tokens; 1 to {most} leave room to answer.")
    parameters = onnxruntime_genai.GeneratorParams(model)
    # onnxruntime-genai 0.16.0 needs the whole context here, as windows are padded.
    parameters.set_search_options(max_length=facts["context"], do_sample=False)
    begin = time.perf_counter()
    generator = onnxruntime_genai.Generator(model, parameters)
    generator.append_tokens(numpy.array([ids], numpy.int32))
    said: list[int] = []
    shown, first = "", 0.0
    while len(said) < min(options.tokens, room):
        generator.generate_next_token()
        token = int(generator.get_next_tokens()[0])
        first = first or time.perf_counter() - begin
        if token in facts["ends"]:
            break
        said.append(token)
        text = tokenizer.decode(said)
        if not options.json and not text.endswith("\N{REPLACEMENT CHARACTER}"):
            print(text[len(shown) :], end="", flush=True)
            shown = text
    seconds = time.perf_counter() - begin
    if options.json:
        held = {"tokens": said, "text": tokenizer.decode(said), "prompt_tokens": len(ids)}
        print(json.dumps({**held, "first_token_s": first, "seconds": seconds}))
    else:
        print()


def asked(tokenizer: Any, facts: dict[str, Any], question: str, raw: bool) -> list[int]:
    """The tokens of a question, written as the model's chat template wants it."""
    path = HERE / "tokenizer_config.json"
    if raw or not path.is_file():
        return list(tokenizer.encode(question).ids)
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        sys.exit(f"chat.py: the chat template refuses: {message}")

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals["raise_exception"] = refuse
    template = json.loads(path.read_text(encoding="utf-8"))["chat_template"]
    end = facts["ends"][0] if facts["ends"] else None
    special = {
        name: "" if index is None else tokenizer.id_to_token(index) or ""
        for name, index in (("bos_token", facts["beginning"]), ("eos_token", end))
    }
    messages = [{"role": "user", "content": question}]
    written = environment.from_string(template)
    text = written.render(messages=messages, add_generation_prompt=True, **special)
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


if __name__ == "__main__":
    sys.exit(main())
