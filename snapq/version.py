"""The version of snapq; the build reads it from here, and says from which commit it was made."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"


def build() -> str | None:
    """The commit that was built, with a `+` where files had been changed; None of a checkout."""
    try:
        text = (Path(__file__).parent / "build.txt").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if text.isascii() and text.isprintable() else None


def shown() -> str:
    """`0.1.0`, or `0.1.0 (build 3f2a91bc04d5)`."""
    commit = build()
    return f"{__version__} (build {commit})" if commit else __version__
