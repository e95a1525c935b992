"""Commands about devices and this machine: devices, doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from snapq.cli.app import Json, emit


def devices(
    text: Annotated[
        str | None, typer.Argument(help="A device to show, or a word to search for.")
    ] = None,
    json: Json = False,
) -> None:
    """List, search and show the device profiles.

    Examples: snapq devices; snapq devices v75; snapq devices snapdragon-8-gen-3
    """
    from dataclasses import asdict

    from snapq.cli import tables
    from snapq.devices import profiles
    from snapq.errors import DeviceError

    if text is None:
        found = profiles.all_profiles()
    else:
        try:
            found = (profiles.find(text),)
        except DeviceError:
            found = profiles.search(text)
            if not found:
                raise
    if json:
        emit([asdict(profile) for profile in found])
    elif len(found) == 1:
        tables.show_device(found[0])
    else:
        tables.show_devices(found)


def doctor(json: Json = False) -> None:
    """Check versions, libraries and the simulator on this machine, and say the mend.

    Ends with 0 when everything needed works, 2 when something does not.

    Example: snapq doctor
    """
    from dataclasses import asdict

    from snapq.cli import tables
    from snapq.doctor import checks

    found = checks()
    if json:
        emit([asdict(check) for check in found])
    else:
        tables.show_checks(found)
    if not all(check.ok for check in found):
        raise typer.Exit(2)


COMMANDS = (devices, doctor)
