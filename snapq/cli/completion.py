"""What the shell completes: devices, boards, runs, stages. Quick, and silent where it fails."""

from __future__ import annotations

from pathlib import Path

_MOST = 50


def complete_devices(incomplete: str) -> list[str]:
    """Names of devices that begin so."""
    from snapq.devices.profiles import all_profiles
    from snapq.errors import SnapqError

    try:
        return [one.name for one in all_profiles() if one.name.startswith(incomplete)]
    except SnapqError:
        return []


def complete_runs(incomplete: str) -> list[str]:
    """`latest`, and finished runs under `runs` that begin so."""
    from snapq.pipeline.run_directory import finished_runs

    found = ["latest", "latest~1", *map(str, finished_runs(Path("runs"))[:_MOST])]
    return [one for one in found if one.startswith(incomplete)]


def complete_stages(incomplete: str) -> list[str]:
    """Names of stages that begin so."""
    from snapq.config.schema.stages import STAGE_OPTIONS

    return [name for name in ("source", *STAGE_OPTIONS) if name.startswith(incomplete)]


def complete_boards(incomplete: str) -> list[str]:
    """Names of the inventory that begin so."""
    from snapq.boards.inventory import boards
    from snapq.errors import SnapqError

    try:
        return [board.name for board in boards() if board.name.startswith(incomplete)]
    except SnapqError:
        return []


def complete_targets(incomplete: str) -> list[str]:
    """Where a package can be measured: this machine, an emulated board, those of the inventory."""
    own = [name for name in ("local", "qemu") if name.startswith(incomplete)]
    return own + complete_boards(incomplete)
