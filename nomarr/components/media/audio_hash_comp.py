"""A hash of the sound of a file: tags, covers and padding do not matter.

It is stored: after any change here that yields other hashes, the stored ones find nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import xxhash

from nomarr.components.media.audio_file_comp import FrugalAudioFile, UnreadableAudio
from nomarr.components.media.audio_payload_comp import Payload, find_payload
from nomarr.components.media.ogg_pages_comp import blank_numbers, find_page
from nomarr.helpers.dto.quick_pickle import QuickPickle

__all__ = ["MAX_READ_BYTES", "SAMPLES", "SAMPLE_BYTES", "AudioHash", "audio_hash", "payload_bytes"]

SAMPLES: Final = 10
SAMPLE_BYTES: Final = 72_000
"""Longer than an Ogg page (65,307 bytes): wherever a sample lies, a page begins in it."""

MAX_READ_BYTES: Final = 1_000_000
"""One hash reads no more of a file, headers included."""

_SAMPLED_BYTES: Final = SAMPLES * SAMPLE_BYTES
_HEADER_BYTES: Final = MAX_READ_BYTES - _SAMPLED_BYTES


@dataclass(frozen=True, slots=True)
class AudioHash(QuickPickle):
    """What the sound of two files has in common if and, as good as certainly, only if it is the same."""

    digest: str
    """32 hexadecimal digits: xxh3-128 of the payload's length and of its samples."""
    payload_bytes: int


def audio_hash(path: str) -> AudioHash:
    """Hash the payload of a file, of which at most `MAX_READ_BYTES` are read.

    Up to `SAMPLES * SAMPLE_BYTES` (720,000) bytes are hashed as a whole. Of a larger payload it is its length and as
    many samples, spread evenly from its beginning to its end: a change between them that keeps the length is not
    noticed, except in FLAC, whose header has an MD5 of the sound. Raises UnreadableAudio if no sound is found, and
    OSError.
    """
    with FrugalAudioFile(path, _HEADER_BYTES) as audio:
        payload = find_payload(audio)
        audio.allow(_SAMPLED_BYTES)
        hasher = xxhash.xxh3_128(payload.size.to_bytes(8, "little"))
        for offset, length in _samples(payload.size):
            hasher.update(_sound_at(audio, payload, offset, length))
    return AudioHash(hasher.hexdigest(), payload.size)


def payload_bytes(path: str) -> int:
    """`AudioHash.payload_bytes` of a file, from its headers only: files that differ here differ in their sound.

    Raises UnreadableAudio if no sound is found, and OSError.
    """
    with FrugalAudioFile(path, _HEADER_BYTES) as audio:
        return find_payload(audio).size


def _samples(size: int) -> Iterator[tuple[int, int]]:
    """(offset, length) of what is hashed of a payload."""
    if size <= _SAMPLED_BYTES:
        yield 0, size
        return
    for number in range(SAMPLES):
        yield number * (size - SAMPLE_BYTES) // (SAMPLES - 1), SAMPLE_BYTES


def _sound_at(audio: FrugalAudioFile, payload: Payload, offset: int, length: int) -> bytes | bytearray:
    sound = b"".join(audio.read_at(start, end - start) for start, end in payload.part(offset, length))
    if len(sound) < length:
        raise UnreadableAudio("was cut short while it was read")
    if not payload.is_ogg:
        return sound
    # What lies before the first page that begins in a sample may be half of a page's header.
    pages = bytearray(sound[max(0, find_page(sound)) :] if offset else sound)
    blank_numbers(pages)
    return pages
