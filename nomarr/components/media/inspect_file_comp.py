"""One look into a file for everything that needs no decoding: its hashes and its cover."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from nomarr.components.media.audio_file_comp import UnreadableAudio
from nomarr.components.media.audio_hash_comp import audio_hash
from nomarr.components.media.content_hashes_comp import content_hashes
from nomarr.components.media.cover_art_comp import embedded_picture, folder_image, read_image
from nomarr.components.media.cover_store_comp import CoverStore, UnreadableCover
from nomarr.components.media.read_files_comp import stat_of
from nomarr.helpers.dto.enrichment import Enrichment
from nomarr.helpers.dto.files import FileStat
from nomarr.helpers.exceptions import CoverFolderUnusable, StorageFull

__all__ = ["FileToInspect", "InspectedFile", "inspect_file", "uninspected_file"]


@dataclass(frozen=True, slots=True)
class FileToInspect:
    """A file, and what is known of it."""

    path: str
    """Absolute."""
    stat: FileStat
    """As the scan saw it."""
    known: Enrichment | None
    cover_folder: str
    content_hashes: bool = False


@dataclass(frozen=True, slots=True)
class InspectedFile:
    """What the look gave."""

    found: Enrichment | None = None
    """None if it could not be read, or is another file than the scan saw."""
    is_other: bool = False
    """It is gone, or has changed since the scan."""
    error: str | None = None
    """Why it could not be read, or what is wrong with its cover; continues a sentence that begins with its name."""
    store_problem: str | None = None
    """Why no cover can be stored at all: it has nothing to do with the file. `found` has the cover known before."""


def inspect_file(item: FileToInspect) -> InspectedFile:
    """Hash the audio of a file and store its cover; its fingerprint and length are kept if the audio is the same."""
    if not item.stat.is_still(stat_of(item.path)):
        return InspectedFile(is_other=True)
    try:
        return _judged(item, _with_cover(item, _hashed(item)))
    except OSError as error:
        return _judged(item, InspectedFile(error=f"can't be read: {error.strerror or error}"))


def uninspected_file(item: FileToInspect, reason: str) -> InspectedFile:
    """What stands for a file that stopped or ended its reader."""
    return _judged(item, InspectedFile(error=reason))


def _judged(item: FileToInspect, result: InspectedFile) -> InspectedFile:
    """The result, if the file did not change meanwhile."""
    return result if item.stat.is_still(stat_of(item.path)) else InspectedFile(is_other=True)


def _with_cover(item: FileToInspect, hashed: Enrichment) -> InspectedFile:
    known_cover = None if item.known is None else item.known.cover_id
    try:
        cover_id, complaint = _stored_cover(item)
    except CoverFolderUnusable as error:
        return InspectedFile(replace(hashed, cover_id=known_cover), store_problem=error.reason)
    except StorageFull:
        return InspectedFile(replace(hashed, cover_id=known_cover), store_problem="its disk is full")
    return InspectedFile(replace(hashed, cover_id=cover_id), error=complaint)


def _hashed(item: FileToInspect) -> Enrichment:
    known = item.known
    if known is not None and _are_hashes_of(known, item.stat) and (known.content_xxh3 or not item.content_hashes):
        return replace(known, hashed_stat=item.stat)
    found = Enrichment(item.stat)
    try:
        hashed = audio_hash(item.path)
        found = replace(found, audio_hash=hashed.digest, audio_bytes=hashed.payload_bytes)
    except UnreadableAudio:
        # Its tags could be read, so it is no broken file: only its audio is packed in a way that nobody told us of.
        pass
    if item.content_hashes:
        whole = content_hashes(item.path)
        found = replace(found, content_xxh3=whole.xxh3_128, content_sha256=whole.sha256)
    if known is not None and known.audio_hash is not None and known.audio_hash == found.audio_hash:
        # What depends on the audio alone.
        return replace(
            found,
            fingerprint=known.fingerprint,
            fingerprint_seconds=known.fingerprint_seconds,
            duration_seconds=known.duration_seconds,
        )
    return found


def _are_hashes_of(known: Enrichment, stat: FileStat) -> bool:
    """True if the file was not even touched since; a ctime that no file has only asks for another look at the cover."""
    hashed = known.hashed_stat
    return known.audio_hash is not None and stat == (
        hashed._replace(ctime_ns=stat.ctime_ns) if hashed.ctime_ns < 0 else hashed
    )


def _stored_cover(item: FileToInspect) -> tuple[str | None, str | None]:
    """The cover's id, and what is wrong with a picture that could not be used."""
    store = CoverStore(Path(item.cover_folder))
    complaint = None
    try:
        if (picture := embedded_picture(item.path)) is not None:
            return store.put(picture).cover_id, None
    except (UnreadableCover, UnreadableAudio) as problem:
        complaint = f"has a cover that can't be used: it {problem}"
    image = folder_image(os.path.dirname(item.path))
    if image is None:
        return None, complaint
    try:
        return store.put(read_image(image)).cover_id, complaint
    except (UnreadableCover, OSError) as problem:
        reason = (problem.strerror or str(problem)) if isinstance(problem, OSError) else str(problem)
        return None, complaint or f"has a cover that can't be used: {os.path.basename(image)} {reason}"
