"""A folder of covers: each original once, whoever has it, and its thumbnails.

`ab/abcd...` is an original, `ab/abcd....96.webp` a thumbnail, `ab/abcd....x.tmp` what is being written; `abcd...` is
the hash of the original. Files only ever appear complete, and the original appears last: where it is, all is.
There are no locks: any number of processes may write, and one that is killed leaves nothing that another waits for.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import xxhash

from nomarr.components.media.decode_cover_comp import THUMBNAIL_SIZES, UnreadableCover, read_header, thumbnails
from nomarr.helpers.exceptions import CoverFolderUnusable, StorageFull

__all__ = ["THUMBNAIL_SIZES", "CoverImage", "CoverStore", "CoverUsage", "StoredCover", "UnreadableCover"]

_COVER_ID: Final = re.compile(r"[0-9a-f]{32}")
_FAN_OUT: Final = re.compile(r"[0-9a-f]{2}")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class StoredCover:
    """One original in the store."""

    cover_id: str
    """XXH3-128 of its content in lower case hexadecimal."""
    mime_type: str
    width: int
    height: int
    """Pixels as it is shown: EXIF may turn it."""
    bytes: int
    """How large the original is."""


@dataclass(frozen=True, slots=True)
class CoverImage:
    """An image of the store as it is shown."""

    content: bytes
    mime_type: str


@dataclass(frozen=True, slots=True)
class CoverUsage:
    """What the store takes."""

    covers: int
    bytes: int
    """Originals, thumbnails, and what killed processes left."""
    free_bytes: int
    """What its disk has left for us."""


class CoverStore:
    """The covers below `folder`, which the first `put` creates.

    Every method raises CoverFolderUnusable when the folder can't be read or written, and ValueError for a `cover_id`
    that is none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where everything is; the first `put` makes it."""
        return self._folder

    def put(self, data: bytes) -> StoredCover:
        """Keep an image and its thumbnails; on return they survive a power cut. What is there is not decoded again.

        Raises:
            UnreadableCover: for what is no image, damaged or too large; it continues a sentence that begins with the
                file's name. Nothing is written then.
            StorageFull: nothing of it is left behind.
        """
        header = read_header(data)
        cover_id = xxhash.xxh3_128_hexdigest(data)
        if not self._is_complete(cover_id):
            images = thumbnails(data)
            with self._errors_in_our_words():
                self._write(cover_id, data, images)
        return StoredCover(cover_id, header.mime_type, header.width, header.height, len(data))

    def original(self, cover_id: str) -> Path | None:
        """Where the original is, byte for byte as it was put; None if it is not there."""
        return self._existing(self._path(cover_id))

    def thumbnail(self, cover_id: str, size: int) -> Path | None:
        """Where the WebP of `size` (one of `THUMBNAIL_SIZES`) is; None if it is not there."""
        if size not in THUMBNAIL_SIZES:
            raise ValueError(f"there are no thumbnails of {size} pixels, only of {THUMBNAIL_SIZES}")
        return self._existing(self._thumbnail_path(cover_id, size))

    def read(self, cover_id: str, size: int | None = None) -> CoverImage | None:
        """The original, or its thumbnail of `size`; None if it is not there."""
        path = self.original(cover_id) if size is None else self.thumbnail(cover_id, size)
        if path is None:
            return None
        with self._errors_in_our_words():
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                # Removed just now.
                return None
        return CoverImage(content, read_header(content).mime_type)

    def remove(self, cover_id: str) -> None:
        """Remove the original, then all that belongs to it, also what a killed process left; nothing there is fine.

        A `put` of the same image at the same time either is undone or stays whole. Who removes must know that nobody
        is about to refer to the cover.
        """
        original = self._path(cover_id)
        with self._errors_in_our_words():
            self._remove_once(original)
            # A `put` that came to its end in between has lost its thumbnails.
            while os.path.exists(original) and not self._is_complete(cover_id):
                self._remove_once(original)

    def ids(self) -> Iterator[str]:
        """Every id of which anything is there, once, in order, also where a killed process left no original.

        So `original(cover_id) is None` tells a sweep what only leftovers remain of, or what is being put just now. One
        folder of 256 is looked at after another: what is put meanwhile may be missed. Files of others are passed over.
        """
        with self._errors_in_our_words():
            for prefix in _names_in(self._folder):
                if _FAN_OUT.fullmatch(prefix):
                    yield from _ids_in(self._folder / prefix)

    def usage(self) -> CoverUsage:
        """How much is there: a look at every file."""
        with self._errors_in_our_words():
            covers, size = 0, 0
            for prefix in filter(_FAN_OUT.fullmatch, _names_in(self._folder)):
                sizes = _sizes_in(self._folder / prefix)
                covers += sum(_COVER_ID.fullmatch(name) is not None for name in sizes)
                size += sum(sizes.values())
            return CoverUsage(covers, size, shutil.disk_usage(self._nearest_folder()).free)

    def why_unwritable(self) -> str | None:
        """The reason why nothing could be put now, as far as can be told without writing; None if there is none."""
        with self._errors_in_our_words():
            folder = self._nearest_folder()
            if not folder.is_dir():
                return f"{folder} is no folder"
            as_who_runs = os.access in os.supports_effective_ids
            is_writable = os.access(folder, os.W_OK | os.X_OK, effective_ids=as_who_runs)
            return None if is_writable else f"{folder} can't be written to"

    def _nearest_folder(self) -> Path:
        """The folder, or what it would be made in."""
        return next(path for path in (self._folder, *self._folder.parents) if path.exists())

    def _write(self, cover_id: str, data: bytes, images: dict[int, bytes]) -> None:
        original = self._path(cover_id)
        contents = {self._thumbnail_path(cover_id, size): image for size, image in images.items()}
        for tries_left in reversed(range(_TRIES)):
            original.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write_all({**contents, original: data}, cover_id)
            except FileNotFoundError:
                # A `remove` of this cover in another process takes temporary files with it.
                if not tries_left:
                    raise
            else:
                return

    def _remove_once(self, original: Path) -> None:
        original.unlink(missing_ok=True)
        for name in _names_in(original.parent):
            if name.startswith(f"{original.name}."):
                (original.parent / name).unlink(missing_ok=True)

    def _is_complete(self, cover_id: str) -> bool:
        paths = (self._path(cover_id), *(self._thumbnail_path(cover_id, size) for size in THUMBNAIL_SIZES))
        return all(map(self._existing, paths))

    def _path(self, cover_id: str) -> Path:
        if not _COVER_ID.fullmatch(cover_id):
            raise ValueError(f"{cover_id!r} is not the id of a cover")
        return self._folder / cover_id[:2] / cover_id

    def _thumbnail_path(self, cover_id: str, size: int) -> Path:
        return self._path(cover_id).with_name(f"{cover_id}.{size}.webp")

    def _existing(self, path: Path) -> Path | None:
        with self._errors_in_our_words():
            try:
                os.stat(path)
            except FileNotFoundError:
                return None
        return path

    @contextmanager
    def _errors_in_our_words(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFull(str(self._folder)) from error
            raise CoverFolderUnusable(str(self._folder), error.strerror or str(error)) from error


def _write_all(contents: dict[Path, bytes], cover_id: str) -> None:
    """Write files into one folder so that they appear complete and in their order, whatever happens."""
    written: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            temporary = path.with_name(f"{cover_id}.{secrets.token_hex(8)}.tmp")
            written[path] = temporary
            _write_durably(temporary, content)
        for path, temporary in written.items():
            os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException:
        for temporary in written.values():
            # The first error counts: a disk that failed may refuse this, too, and `ids` finds what stays.
            with suppress(OSError):
                temporary.unlink()
        raise


def _write_durably(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names_in(folder: Path) -> list[str]:
    """In order; none if there is no such folder."""
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _sizes_in(folder: Path) -> dict[str, int]:
    sizes = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            # Another process may remove it just now.
            with suppress(FileNotFoundError):
                sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
    return sizes


def _ids_in(folder: Path) -> Iterator[str]:
    found = {name.partition(".")[0] for name in _names_in(folder)}
    return iter(sorted(name for name in found if _COVER_ID.fullmatch(name) and name.startswith(folder.name)))
