"""Libraries as they are named on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nomarr.helpers.exceptions import LibraryNotFound
from nomarr.interfaces.cli.errors_cli import say

if TYPE_CHECKING:
    from nomarr.app import Nomarr
    from nomarr.helpers.dto.library import Library

__all__ = ["found_or_added"]


async def found_or_added(nomarr: Nomarr, wanted: str, *, quiet: bool) -> Library:
    """The library with this name, id or folder; a folder that is no library yet becomes one.

    Raises:
        LibraryNotFound: if it is neither.
    """
    try:
        return await nomarr.libraries.find_library(wanted)
    except LibraryNotFound:
        library = await nomarr.libraries.find_or_add_library(wanted)
    if not quiet:
        say(f"added library '{library.name}' at {library.root_path}")
    return library
