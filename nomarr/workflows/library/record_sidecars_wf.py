"""Record a folder's playlists and images with the batch that writes the folder."""

from __future__ import annotations

from nomarr.components.library.diff_folder_comp import FolderDiff
from nomarr.components.library.read_playlist_comp import PlaylistError, read_playlist, resolve
from nomarr.helpers.dto.batches import ImageUpsert, PlaylistUpsert, ScanBatch
from nomarr.helpers.dto.files import FileStat
from nomarr.helpers.dto.library import Library
from nomarr.helpers.file_kinds import FileKind, kind_of
from nomarr.helpers.paths_helper import join
from nomarr.persistence.db import Database

__all__ = ["record_sidecars"]


def record_sidecars(db: Database, library: Library, diff: FolderDiff, batch: ScanBatch) -> None:
    """Add what changed among the folder's playlists and images to `batch`."""
    batch.gone_sidecars += diff.gone_sidecars
    libraries: list[Library] = []
    for index in diff.sidecars:
        path, stat = diff.path_at(index), diff.listing.stat_at(index)
        if kind_of(path) is FileKind.IMAGE:
            batch.images.append(ImageUpsert(path, stat))
            continue
        libraries = libraries or db.library.list_libraries(0.0)
        batch.playlists.append(_playlist(path, stat, diff.listing.path, library, libraries))


def _playlist(path: str, stat: FileStat, folder: str, library: Library, libraries: list[Library]) -> PlaylistUpsert:
    try:
        texts = read_playlist(join(library.root_path, path))
    except PlaylistError as error:
        return PlaylistUpsert(path, stat, (), str(error))
    return PlaylistUpsert(path, stat, tuple(resolve(text, folder, library, libraries) for text in texts))
