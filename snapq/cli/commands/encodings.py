"""Commands about encodings: export them for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.options import Force, Json, existing
from snapq.cli.output.json import emit
from snapq.cli.output.text import say

_NAMED = 8

encodings = typer.Typer(
    name="encodings",
    help="Export encodings to other tools; `snapq quantize --encodings` imports them.",
    no_args_is_help=True,
)


@encodings.command()
def export(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL.onnx|RUN|BUNDLE",
            help="A Q/DQ model, or the folder of a run or a bundle.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    format_: Annotated[
        str, typer.Option("--format", help="aimet-1.0, aimet-0.6.1 or gstreamer.")
    ] = "aimet-1.0",
    float_model: Annotated[
        Path | None, typer.Option(help="Also write the float model whose tensors the file names.")
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write the encodings of a Q/DQ model for AIMET, or of a package for GStreamer.

    Examples: snapq encodings export model.w8a8.onnx --format aimet-1.0 -o model.encodings;
    snapq encodings export runs/detector/latest --format gstreamer -o detector.txt
    """
    from snapq import api

    source = existing(api.find_run(model))
    done = api.export_encodings(
        source, output, file_format=format_, float_model=float_model, overwrite=force
    )
    if json:
        emit(
            {
                "path": str(output),
                "format": format_,
                "encodings": done.count,
                "left_out": done.left_out,
            }
        )
        return
    say(f"Wrote {output}: {done.count} encodings ({format_}).")
    if done.left_out:
        names = ", ".join(done.left_out[:_NAMED])
        more = f" and {len(done.left_out) - _NAMED} more" if len(done.left_out) > _NAMED else ""
        say(
            f"Left out, as {format_} cannot express a scale for each block: {names}{more}. "
            "aimet-1.0 can."
        )
