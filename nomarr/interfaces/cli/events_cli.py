"""`nomarr events`: the change feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nomarr.helpers.paths_helper import readable
from nomarr.interfaces.cli.options_cli import JsonOption
from nomarr.interfaces.cli.output_cli import local_time, print_json_line, print_text
from nomarr.interfaces.cli.run_cli import run_command
from nomarr.interfaces.contract import event_object

if TYPE_CHECKING:
    from nomarr.app import Nomarr
    from nomarr.helpers.dto.events import ChangeEvent

__all__ = ["events_command"]


def events_command(
    context: typer.Context,
    after: Annotated[
        int, typer.Option("--after", metavar="N", min=0, help="Only events with a number greater than N.")
    ] = 0,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Then wait for new events and print each as it comes, until Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List what happened to files, oldest first.

    Files are created, modified, moved, renamed, missing, restored or removed.

    With --json every line is one JSON object. A program that remembers the last number (seq) it saw goes on
    with --after and misses nothing.

    Example: nomarr events --after 1200 --follow
    """

    def tell(event: ChangeEvent) -> None:
        if as_json:
            print_json_line(event_object(event))
        else:
            print_text(_line(event))

    async def list_events(nomarr: Nomarr) -> None:
        if follow:
            async with nomarr.events(after=after) as feed:
                async for event in feed:
                    tell(event)
        last = after
        while page := await nomarr.event_feed.list_events(last):
            for event in page:
                tell(event)
            last = page[-1].seq

    run_command(context, list_events)


def _line(event: ChangeEvent) -> str:
    came_from = f"{readable(event.old_path)} → " if event.old_path else ""
    why = f"  [{event.evidence}]" if event.evidence else ""
    return f"{event.seq:>8}  {local_time(event.time)}  {event.type.value:<8}  {came_from}{readable(event.path)}{why}"
