"""Files a page at a time: what is asked for, in which order, and where to go on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from nomarr.helpers.dto.enrichment import ProcessingStatus
from nomarr.helpers.dto.files import FileRecord

__all__ = ["FilePage", "FilePlace", "FileQuery", "FileSort"]


class FileSort(StrEnum):
    """What a list of files is sorted by. Texts are compared without regard to the case of ASCII letters."""

    PATH = "path"
    TITLE = "title"
    ARTIST = "artist"
    ALBUM = "album"
    SIZE = "size"
    CHANGED = "changed"
    """When the file was last written."""
    ADDED = "added"
    """When it was first seen."""


FilePlace: TypeAlias = tuple[str | int | float, str]
"""A place in a sorted list: the value that is sorted by, as it is stored, and the id of the file there."""


@dataclass(frozen=True, slots=True)
class FileQuery:
    """Which files, in which order."""

    library_id: str | None = None
    """None: of all libraries."""
    folder: str = ""
    """With everything below it; a normalized path."""
    missing: bool = False
    """The missing files instead of those that are there."""
    status: ProcessingStatus | None = None
    text: str | None = None
    """In path, title, artist, album or album artist, in any case."""
    sort: FileSort = FileSort.PATH
    descending: bool = False


@dataclass(frozen=True, slots=True)
class FilePage:
    """Some files, and where the next ones begin."""

    files: tuple[FileRecord, ...] = ()
    next_place: FilePlace | None = None
    """The last file's; None if these were the last ones."""
