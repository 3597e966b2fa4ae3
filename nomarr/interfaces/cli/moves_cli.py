"""`nomarr moves`: what was taken for moved, and how to take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from nomarr.helpers.paths_helper import readable
from nomarr.interfaces.cli.errors_cli import say
from nomarr.interfaces.cli.help_cli import HelpfulCommand
from nomarr.interfaces.cli.options_cli import JsonOption, LimitOption, complete_library
from nomarr.interfaces.cli.output_cli import console, local_time, print_json, print_text, table, text
from nomarr.interfaces.cli.run_cli import run_command
from nomarr.interfaces.contract import event_object, undone_move_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nomarr.app import Nomarr
    from nomarr.helpers.dto.events import ChangeEvent

__all__ = ["moves_app"]


class _ListUnlessTold(TyperGroup):
    """`nomarr moves Music` means `nomarr moves list Music`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` where no command stands; a shell that completes nothing yet is shown the commands."""
        is_completing = ctx.resilient_parsing and not args
        if not is_completing and args[:1] not in [[word] for word in (*self.commands, *ctx.help_option_names)]:
            args = ["list", *args]
        return super().parse_args(ctx, args)


moves_app = typer.Typer(
    cls=_ListUnlessTold,
    help="List the moves and renames of files, and undo wrong ones. Without a command they are listed.",
    rich_markup_mode=None,
)


@moves_app.command("list", cls=HelpfulCommand)
def list_command(
    context: typer.Context,
    library: Annotated[
        str | None,
        typer.Argument(
            metavar="LIBRARY",
            help="Only moves into this library, out of it and inside of it: its name, its id or its folder.",
            autocompletion=complete_library,
            show_default=False,
        ),
    ] = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """List the latest moves and renames, with the evidence for each. The word 'list' can be left out.

    Example: nomarr moves list Music
    """

    async def list_moves(nomarr: Nomarr) -> None:
        wanted = None if library is None else (await nomarr.libraries.find_library(library)).library_id
        moves = await nomarr.libraries.list_moves(wanted, limit=limit)
        if as_json:
            print_json([event_object(move) for move in moves])
        elif moves:
            names = {known.library_id: known.name for known in await nomarr.libraries.list_libraries(counted=False)}
            _print_moves(moves, names)
        else:
            say("no file was moved or renamed lately")

    run_command(context, list_moves)


@moves_app.command("undo", cls=HelpfulCommand)
def undo_command(
    context: typer.Context,
    seq: Annotated[int, typer.Argument(metavar="SEQ", help="The number of the move, as listed.", show_default=False)],
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait",
            help="If a scan of the library is running: wait for it, or give up with exit code 4.",
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Undo a move that was none: two different files were taken for one.

    The old id goes back to the old path, where its file is missing; if a file comes back there, it has its id again.
    The file at the new path becomes a new one. Nothing on the disk is touched.

    Example: nomarr moves undo 1234
    """

    async def undo(nomarr: Nomarr) -> None:
        undone = await nomarr.libraries.undo_move(seq, wait=wait)
        if as_json:
            print_json(undone_move_object(undone))
            return
        print_text(f"{readable(undone.path)} has its id {undone.file_id} again and is missing")
        if undone.new_file_id is not None:
            print_text(f"{readable(undone.new_path)} is a new file, {undone.new_file_id}")

    run_command(context, undo)


def _print_moves(moves: Sequence[ChangeEvent], names: Mapping[str, str]) -> None:
    from rich.table import Column

    shown = table(
        Column("Seq", justify="right", no_wrap=True),
        Column("When", no_wrap=True),
        Column("Library", overflow="ellipsis", no_wrap=True, max_width=20),
        Column("Move", overflow="fold"),
        Column("Evidence", overflow="fold", min_width=12),
    )
    for move in moves:
        shown.add_row(
            str(move.seq),
            local_time(move.time),
            text(names.get(move.library_id, move.library_id)),
            text(f"{_came_from(move, names)} → {readable(move.path)}"),
            text(move.evidence or "", "dim"),
        )
    console().print(shown)


def _came_from(move: ChangeEvent, names: Mapping[str, str]) -> str:
    old_path = readable(move.old_path or "")
    if move.old_library_id in (None, move.library_id):
        return old_path
    return f"{names.get(move.old_library_id, 'a removed library')}: {old_path}"
