"""The commands `snapq board emulate …`: build, start, stop, status, shell."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapq.boards.emulator.npu_state import NpuState
from snapq.cli.options import Json
from snapq.cli.output.json import emit
from snapq.cli.output.text import say

if TYPE_CHECKING:
    from snapq.boards.emulator.lifecycle import EmulatedBoard

emulate = typer.Typer(
    name="emulate",
    help="An aarch64 board in QEMU. It counts instructions; it does not measure time.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="Name of the board; several may run at once.")]
Bare = Annotated[
    bool, typer.Option("--bare", help="Leave out numpy and ONNX Runtime, as on a new board.")
]


@emulate.command()
def build(
    bare: Bare = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Build it anew, with what Debian has now.")
    ] = False,
    json: Json = False,
) -> None:
    """Build the board's image, once; start does it too where it is missing.

    Example: snapq board emulate build
    """
    from snapq.boards.emulator import image
    from snapq.boards.emulator.recipe import recipe
    from snapq.cli.output.progress import Bars

    built = image.build(recipe(bare=bare), Bars(), fresh=fresh)
    if json:
        emit({"folder": str(built.folder), "key": built.key, **built.contents()})
    else:
        say(f"The image is {built.folder}")


@emulate.command()
def start(
    name: Name = "board",
    bare: Bare = False,
    soc: Annotated[
        str | None, typer.Option(help="Device profile of the SoC that it pretends to have.")
    ] = None,
    npu_state: Annotated[
        NpuState, typer.Option(help="Why its NPU cannot be used; there is none in QEMU.")
    ] = NpuState.NO_DEVICE,
    adb: Annotated[bool, typer.Option("--adb", help="Let Android's adb in too.")] = False,
    clock: Annotated[
        datetime | None, typer.Option(help="What its clock shows first, UTC; not given: now.")
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay here; the board ends with this command.")
    ] = False,
    json: Json = False,
) -> None:
    """Start a board and wait until it can be used; it runs until it is stopped.

    Examples: snapq board emulate start;
    snapq board emulate start second --soc sm8650 --npu-state no-answer
    """
    from snapq.boards.emulator import lifecycle
    from snapq.cli.output.progress import Bars

    seconds = None if clock is None else int(clock.replace(tzinfo=UTC).timestamp())
    options = lifecycle.Options(bare=bare, soc=soc, npu=npu_state, clock=seconds, adb=adb)
    board = lifecycle.start(name, options, Bars(), attached=foreground)
    if json:
        emit(_values(board))
    else:
        say(f"{board.name} runs; SSH on 127.0.0.1 port {board.port}.")
        if board.adb_port is not None:
            say(f"As a target: adb://127.0.0.1:{board.adb_port}")
        say(f"A shell: snapq board emulate shell {board.name}")
        say(f"Its end: snapq board emulate stop {board.name}")
    if foreground:
        lifecycle.wait(board)


@emulate.command()
def stop(
    name: Name = "board", every: Annotated[bool, typer.Option("--all", help="Every board.")] = False
) -> None:
    """End a board, and forget what it wrote.

    Example: snapq board emulate stop --all
    """
    from snapq.boards.emulator import lifecycle

    names = [board.name for board in lifecycle.status()] if every else [name]
    for one in names:
        there = lifecycle.stop(one)
        say(f"{one} is stopped." if there else f"{one} does not run.")
    if not names:
        say("No emulated board runs.")


@emulate.command()
def status(json: Json = False) -> None:
    """List the boards that were started and not stopped.

    Example: snapq board emulate status
    """
    from snapq.boards.emulator import lifecycle

    boards = lifecycle.status()
    if json:
        emit([_values(board) for board in boards])
        return
    if not boards:
        say("No emulated board runs. Start one: snapq board emulate start")
    for board in boards:
        if board.running:
            soc = f" as {board.options.soc}" if board.options.soc else ""
            say(
                f"{board.name}: runs{soc} ({board.options.npu}), SSH on 127.0.0.1 port "
                f"{board.port}, {board.memory_bytes / 1e6:.0f} MB of memory"
            )
        else:
            say(
                f"{board.name}: ended without being stopped. "
                f"Remove what it left: snapq board emulate stop {board.name}"
            )


@emulate.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
def shell(
    name: Name = "board",
    command: Annotated[
        list[str] | None, typer.Argument(help="A command to run there, instead of a shell.")
    ] = None,
) -> None:
    """Open a shell on a board, or run one command there.

    Example: snapq board emulate shell board uname -a
    """
    from snapq.boards.emulator import shell as board_shell

    words = command or []
    # Behind a board's name, options are the command's; a `--` in front of it is none of its words.
    board_shell.replace_with_shell(name, words[1:] if words[:1] == ["--"] else words)


def _values(board: EmulatedBoard) -> dict[str, Any]:
    return {
        "name": board.name,
        "running": board.running,
        "address": f"ssh://root@127.0.0.1:{board.port}",
        "adb_address": f"adb://127.0.0.1:{board.adb_port}" if board.adb_port else None,
        "identity": str(board.identity),
        "known_hosts": str(board.known_hosts),
        "pid": board.process.pid,
        "memory_bytes": board.memory_bytes,
        "image": board.image,
        "console": str(board.console),
        "bare": board.options.bare,
        "soc": board.options.soc,
        "npu_state": board.options.npu.value,
    }
