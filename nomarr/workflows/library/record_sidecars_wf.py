"""What a scan records of a folder's playlists and images."""

from __future__ import annotations

from collections.abc import Iterator

from nomarr.components.library.diff_folder_comp import FolderDiff
from nomarr.components.library.read_playlist_comp import PlaylistError, read_playlist, resolve
from nomarr.helpers.dto.batches import ImageUpsert, PlaylistUpsert
from nomarr.helpers.dto.files import FileStat
from nomarr.helpers.dto.library import Library
from nomarr.helpers.file_kinds import FileKind, kind_of
from nomarr.helpers.paths_helper import join
from nomarr.persistence.db import Database

__all__ = ["read_sidecars"]


def read_sidecars(db: Database, library: Library, diff: FolderDiff) -> Iterator[ImageUpsert | PlaylistUpsert]:
    """Everything that is to be recorded of the folder's `sidecars`; playlists are read one by one."""
    libraries: list[Library] = []
    for index in diff.sidecars:
        path, stat = diff.path_at(index), diff.listing.stat_at(index)
        if kind_of(path) is FileKind.IMAGE:
            yield ImageUpsert(path, stat)
        else:
            libraries = libraries or db.library.list_libraries(0.0, counted=False)
            yield _playlist(path, stat, diff.listing.path, library, libraries)


def _playlist(path: str, stat: FileStat, folder: str, library: Library, libraries: list[Library]) -> PlaylistUpsert:
    try:
        texts = read_playlist(join(library.root_path, path))
    except PlaylistError as error:
        return PlaylistUpsert(path, stat, (), str(error))
    return PlaylistUpsert(path, stat, tuple(resolve(text, folder, library, libraries) for text in texts))
