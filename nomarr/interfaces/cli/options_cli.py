"""Arguments and options that several commands share, and the completion of library names."""

from __future__ import annotations

from typing import Annotated

import typer

from nomarr.interfaces.cli.run_cli import GlobalOptions, stored_config

__all__ = ["JsonOption", "LibrariesArgument", "LibraryArgument", "LimitOption", "complete_library"]


def complete_library(context: typer.Context, incomplete: str) -> list[str]:
    """The names of libraries that begin like this; a shell that asks for them never sees an error."""
    try:
        return [name for name in _library_names(context) if name.startswith(incomplete)]
    except Exception:
        # Whatever is wrong, the command itself will say it; pressing Tab is not the moment.
        return []


def _library_names(context: typer.Context) -> list[str]:
    import anyio

    from nomarr.app import Nomarr

    params = context.find_root().params
    config = stored_config(GlobalOptions(params.get("db"), params.get("config"), "error"))

    async def names() -> list[str]:
        async with Nomarr.open(config) as nomarr:
            return [library.name for library in await nomarr.libraries.list_libraries(counted=False)]

    return anyio.run(names)


LibraryArgument = Annotated[
    str,
    typer.Argument(
        metavar="LIBRARY",
        help="The library: its name, its id or its folder.",
        autocompletion=complete_library,
        show_default=False,
    ),
]
LibrariesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="LIBRARY",
        help="Libraries, each by name, id or folder. Without any: all of them.",
        autocompletion=complete_library,
        show_default=False,
    ),
]
LimitOption = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON for other programs instead of text for people.", show_default=False)
]
