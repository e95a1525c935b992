"""`snapq history` lists what was measured before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.completion import complete_devices, complete_stages, complete_targets
from snapq.cli.options import Json, existing
from snapq.cli.output.json import emit


def history(
    action: Annotated[
        str | None,
        typer.Argument(
            metavar="[import]", help="`import` adds what a bundle's verify.py measured."
        ),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Files that verify.py wrote, for `import`."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="With `import`: the bundle that was measured, to set predictions beside.",
        ),
    ] = None,
    deployment: Annotated[
        str | None, typer.Option(help="Of this `name` in deploy.yaml only.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Of this model file only, or the beginning of a hash.")
    ] = None,
    stage: Annotated[
        str | None,
        typer.Option(
            help="Of this stage's model only; source: the one as given.",
            autocompletion=complete_stages,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", "--label", help="Of this precision only, such as w8a8."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Of boards with this chip only.", autocompletion=complete_devices),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Of this target only.", autocompletion=complete_targets),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Of samples whose hash begins so only.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """List earlier measurements, newest first; `import` adds measurements of other machines.

    Examples: snapq history --deployment detector --target my-board;
    snapq history import measurement.json
    """
    from snapq import api
    from snapq.cli.output import bench_tables
    from snapq.errors import ConfigError

    if action is not None:
        if action != "import" or not files:
            raise ConfigError(
                f"`history` takes no {action!r} here."
                if action != "import"
                else "`history import` needs the file that a bundle's verify.py wrote.",
                hint="Write: snapq history import measurement.json, or use the options as filters.",
            )
        added = api.import_measurements(files, existing(bundle) if bundle else None)
        if json:
            emit([record.without_samples().to_json() for record in added])
        else:
            bench_tables.show_history(added)
        return
    if bundle is not None:
        raise ConfigError("--bundle belongs to `history import`.", hint="Leave it out.")
    found = api.history(
        deployment=deployment,
        model=model,
        stage=stage,
        precision=precision,
        device=device,
        target=target,
        data=data,
        limit=limit,
    )
    if json:
        emit([record.without_samples().to_json() for record in found])
    else:
        bench_tables.show_history(found)
        predicted = {one.target.soc or "" for one in found if one.predicted is not None}
        bench_tables.show_calibrations(*api.calibrations(sorted(predicted - {""}), target))
