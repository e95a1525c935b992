"""`snapq doctor` checks this machine."""

from __future__ import annotations

import typer

from snapq.cli.options import Json
from snapq.cli.output.json import emit


def doctor(json: Json = False) -> None:
    """Check versions, libraries and the simulator on this machine, with hints.

    Ends with 0 when everything needed works, 2 when something does not.

    Example: snapq doctor
    """
    from dataclasses import asdict

    from snapq.api.doctor import checks
    from snapq.cli.output import tables

    found = checks()
    if json:
        emit([asdict(check) for check in found])
    else:
        tables.show_checks(found)
    if not all(check.ok for check in found):
        raise typer.Exit(2)
