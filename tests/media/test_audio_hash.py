"""What the audio hash promises: it follows the sound, and nothing else in the file, for a million bytes of reading."""

from __future__ import annotations

import base64
import os
import pickle
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from audio_factory import KINDS, MAGICS, AudioFactory, Song, element, write_tags
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2, APEValue
from mutagen.asf import ASF, ASFByteArrayAttribute
from mutagen.dsf import DSF
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3, TIT2, USLT
from mutagen.mp4 import MP4, MP4Cover
from mutagen.ogg import OggPage
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from nomarr.components.media.audio_file_comp import AudioFile, UnreadableAudio
from nomarr.components.media.audio_hash_comp import (
    MAX_READ_BYTES,
    SAMPLE_BYTES,
    SAMPLES,
    AudioHash,
    audio_hash,
    payload_bytes,
)
from nomarr.components.media.audio_payload_comp import ByteRange, Payload, find_payload

SECONDS_AT_MOST = 1.0
LARGE = 600_000
"""Bytes of a large cover."""

VBR = ("-q:a", "4")
SOUNDS = {kind: (kind, ()) for kind in KINDS} | {"mp3 vbr": ("mp3", VBR)}
"""Name to kind and encoder options."""

LONG_SECONDS = {
    "mp3": 25, "m4a": 40, "aac": 40, "wma": 25, "ogg": 25, "opus": 25, "spx": 220, "ape": 40, "mpc": 40, "dsf": 40,
}  # fmt: skip
LONG_OPTIONS = {
    "mp3": ("-b:a", "320k"),
    "m4a": ("-b:a", "400k"),
    "aac": ("-b:a", "400k"),
    "wma": ("-b:a", "320k"),
    "ogg": ("-q:a", "10"),
    "opus": ("-b:a", "450k"),
}
TAGGERS: dict[str, Any] = {
    "mp3": ID3, "aac": ID3, "tta": ID3, "wav": WAVE, "aiff": AIFF, "dsf": DSF, "flac": FLAC, "ogg": OggVorbis,
    "oga": OggFLAC, "spx": OggSpeex, "opus": OggOpus, "m4a": MP4, "alac.m4a": MP4, "wma": ASF,
    "ape": APEv2, "wv": APEv2, "mpc": APEv2,
}  # fmt: skip
OGG = ("ogg", "oga", "spx", "opus")
EXAMPLES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def short(encoded: AudioFactory, name: str, seed: int = 1) -> bytes:
    kind, options = SOUNDS[name]
    return encoded.noise(kind, 1, seed, options)


def long(encoded: AudioFactory, kind: str) -> bytes:
    """Too long to be hashed as a whole."""
    return encoded.noise(kind, LONG_SECONDS.get(kind, 10), 1, LONG_OPTIONS.get(kind, ()))


def payload_of(path: Path) -> Payload:
    with AudioFile(str(path)) as audio:
        return find_payload(audio)


def hash_of(path: Path) -> AudioHash:
    found = audio_hash(str(path))
    assert payload_bytes(str(path)) == found.payload_bytes
    return found


def hash_of_bytes(folder: Path, content: bytes) -> AudioHash | None:
    """None if the content is unreadable."""
    path = folder / "hashed"
    path.write_bytes(content)
    try:
        return hash_of(path)
    except UnreadableAudio:
        return None


def cover_of(length: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + Random(length).randbytes(length)


def set_cover(audio: Any, cover: bytes) -> None:
    """Put one cover into an open file of mutagen's, in its own words."""
    picture = Picture()
    picture.type, picture.mime, picture.data = 3, "image/png", cover
    if isinstance(audio, FLAC):
        audio.clear_pictures()
        audio.add_picture(picture)
    elif isinstance(audio, MP4):
        audio["covr"] = [MP4Cover(cover, MP4Cover.FORMAT_PNG)]
    elif isinstance(audio, ASF):
        head = b"\x03" + struct.pack("<I", len(cover)) + "image/png\0\0".encode("utf-16-le")
        audio["WM/Picture"] = [ASFByteArrayAttribute(head + cover)]
    elif isinstance(audio, APEv2):
        audio["Cover Art (Front)"] = APEValue(b"cover.png\0" + cover, 1)
    elif isinstance(audio, ID3 | WAVE | AIFF | DSF):
        tags = audio if isinstance(audio, ID3) else audio.tags
        tags.setall("APIC", [APIC(encoding=3, mime="image/png", type=3, desc="", data=cover)])
    else:
        audio["metadata_block_picture"] = [base64.b64encode(picture.write()).decode()]


def edits(path: Path, kind: str) -> Iterator[str]:
    """Edit a file's tags in every way that users do; yields what was done after each edit."""
    write_tags(path, kind, Song())
    yield "tagged"
    for cover_bytes in (2_000, LARGE, 150_000, 100):
        audio = TAGGERS[kind](path)
        set_cover(audio, cover_of(cover_bytes))
        audio.save(path) if isinstance(audio, ID3 | APEv2) else audio.save()
        yield f"cover of {cover_bytes} bytes"
    if kind not in ("ape", "wv", "mpc"):
        for padding in (0, 70_000, 10):
            audio = TAGGERS[kind](path)
            audio.save(path, padding=lambda info, wanted=padding: wanted)
            yield f"padding of {padding} bytes"
    audio = TAGGERS[kind](path)
    audio.delete(path) if isinstance(audio, ID3 | APEv2) else audio.delete()
    yield "tags removed"


def damaged(content: bytes, at: int) -> bytes:
    return content[:at] + bytes((content[at] ^ 0x55,)) + content[at + 1 :]


def offset_of(payload: Payload, at: int) -> int:
    """Where in the file a byte of the payload is."""
    return next(payload.part(at, 1)).start


# Tags do not matter


@pytest.mark.parametrize("name", [name for name in SOUNDS if name != "mka"])
def test_no_edit_of_tags_changes_the_hash(encoded: AudioFactory, tmp_path: Path, name: str) -> None:
    kind = SOUNDS[name][0]
    path = tmp_path / f"a.{kind}"
    path.write_bytes(short(encoded, name))
    before = hash_of(path)
    for done in edits(path, kind):
        assert hash_of(path) == before, done


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mka"])
def test_no_edit_of_tags_changes_the_hash_of_samples(encoded: AudioFactory, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(long(encoded, kind))
    before = hash_of(path)
    assert before.payload_bytes > SAMPLES * SAMPLE_BYTES
    for done in edits(path, kind):
        assert hash_of(path) == before, done


@pytest.mark.parametrize("seconds", [1, 10])
def test_tags_and_attachments_of_matroska_do_not_matter(encoded: AudioFactory, tmp_path: Path, seconds: int) -> None:
    path = tmp_path / "a.mka"
    path.write_bytes(encoded.noise("mka", seconds))
    before = hash_of(path)
    write_tags(path, "mka", Song())
    assert hash_of(path) == before
    sound = path.read_bytes()
    start = sound.index(b"\x18\x53\x80\x67") + 4
    behind = element(0x1941A469, element(0x61A7, element(0x465C, cover_of(LARGE))))
    segment = sound[start + 8 :] + behind
    path.write_bytes(sound[:start] + b"\x01" + len(segment).to_bytes(7, "big") + segment)
    assert hash_of(path) == before


@pytest.mark.parametrize("name", ["mp3", "mp3 vbr", "aac", "tta", "flac", "ape", "wv", "mpc"])
@pytest.mark.parametrize("size", ["short", "long"])
def test_tags_of_every_kind_around_the_sound_do_not_matter(
    encoded: AudioFactory, tmp_path: Path, name: str, size: str
) -> None:
    kind = SOUNDS[name][0]
    path = tmp_path / f"a.{kind}"
    sound = short(encoded, name) if size == "short" else long(encoded, kind)
    before = hash_of_bytes(tmp_path, sound)
    id3v1 = b"TAG" + b"Title".ljust(125, b"\0")
    apev2 = tmp_path / "tag"
    tag: Any = APEv2()
    tag["Title"], tag["Cover"] = "A title", APEValue(cover_of(20_000), 1)
    apev2.touch()
    tag.save(apev2)
    footed = b"\0\0\x02\x10" + bytes(0x110)
    appended = b"ID3\x04\0\x10" + footed + b"3DI\x04\0\x10" + footed[:4]
    enhanced = b"TAG+" + bytes(223) + id3v1
    lyrics3v1 = b"LYRICSBEGIN[00:00]La la" + b"LYRICSEND"
    lyrics3v2 = b"LYRICSBEGININD0000200LYR00005La la"
    lyrics3v2 += f"{len(lyrics3v2):06}LYRICS200".encode()
    stacked = (b"ID3\x03\0\0\0\0\x01\0" + bytes(128)) * 3
    for leading, trailing in (
        (b"", id3v1),
        (b"", apev2.read_bytes()),
        (b"", apev2.read_bytes()[32:]),
        (b"", apev2.read_bytes() + id3v1),
        (b"", id3v1 + apev2.read_bytes()),
        (b"", lyrics3v1 + id3v1),
        (stacked, lyrics3v2 + enhanced),
        (stacked, appended),
        (appended, bytes(9000) + id3v1 + bytes(100)),
    ):
        path.write_bytes(leading + sound + trailing)
        assert hash_of(path) == before


def test_id3v1_and_apev2_by_mutagen_do_not_change_an_mp3(encoded: AudioFactory, tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(encoded.noise("mp3"))
    before = hash_of(path)
    id3 = ID3()
    id3.add(TIT2(encoding=3, text="Title"))
    id3.save(path, v1=2, v2_version=3)
    assert hash_of(path) == before
    apev2: Any = APEv2()
    apev2["Title"] = "A title"
    apev2.save(path)
    assert hash_of(path) == before
    id3.add(USLT(encoding=3, lang="eng", desc="", text="La la " * 50_000))
    id3.save(path, v1=2)
    assert hash_of(path) == before


def test_the_name_of_a_file_does_not_matter(encoded: AudioFactory, tmp_path: Path) -> None:
    hashes = set()
    for name in ("a.mp3", "a.flac", "a", "a.txt"):
        (tmp_path / name).write_bytes(encoded.noise("mp3"))
        hashes.add(hash_of(tmp_path / name))
    assert len(hashes) == 1


def test_new_numbers_of_later_ogg_pages_do_not_matter(encoded: AudioFactory, tmp_path: Path) -> None:
    """The cover makes more header pages, so every page of sound gets another number and checksum."""
    path = tmp_path / "a.ogg"
    path.write_bytes(long(encoded, "ogg"))
    before, tail = hash_of(path), path.read_bytes()[-100_000:]
    audio = OggVorbis(path)
    set_cover(audio, cover_of(5_000_000))
    audio.save()
    assert path.read_bytes()[-100_000:] != tail
    assert hash_of(path) == before


# The sound does


def test_different_sounds_have_different_hashes(encoded: AudioFactory, tmp_path: Path) -> None:
    hashes = [hash_of_bytes(tmp_path, short(encoded, name, seed)) for name in SOUNDS for seed in (1, 2, 3)]
    assert None not in hashes
    assert len({found.digest for found in hashes if found}) == len(hashes)


def page_numbers(content: bytes, path: Path) -> list[range]:
    """Where the sequence numbers and checksums of an Ogg file are."""
    ranges = []
    with path.open("rb") as file:
        while file.tell() < len(content):
            page = OggPage(file)
            ranges.append(range(page.offset + 18, page.offset + 26))
    return ranges


@pytest.mark.parametrize("name", SOUNDS)
@settings(EXAMPLES, max_examples=30)
@given(chance=st.randoms(use_true_random=False))
def test_any_altered_byte_of_a_short_sound_changes_the_hash(
    encoded: AudioFactory, tmp_path: Path, name: str, chance: Random
) -> None:
    content = short(encoded, name)
    path = tmp_path / "whole"
    path.write_bytes(content)
    payload = payload_of(path)
    at = offset_of(payload, chance.randrange(payload.size))
    if SOUNDS[name][0] in OGG and any(at in numbers for numbers in page_numbers(content, path)):
        return
    assert hash_of_bytes(tmp_path, damaged(content, at)) != hash_of(path)


@pytest.mark.parametrize("kind", KINDS)
def test_an_altered_byte_in_a_sample_changes_the_hash(encoded: AudioFactory, tmp_path: Path, kind: str) -> None:
    content = long(encoded, kind)
    path = tmp_path / "whole"
    path.write_bytes(content)
    payload, before = payload_of(path), hash_of(path)
    for number in range(SAMPLES):
        start = number * (payload.size - SAMPLE_BYTES) // (SAMPLES - 1)
        # Of an Ogg sample it is what follows the first beginning of a page.
        at = offset_of(payload, start + SAMPLE_BYTES - 1 if kind in OGG else start)
        if kind in OGG and any(at in numbers for numbers in page_numbers(content, path)):
            at -= 30
        assert hash_of_bytes(tmp_path, damaged(content, at)) != before, number


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", ["short", "long"])
def test_a_sound_without_its_end_is_another(encoded: AudioFactory, tmp_path: Path, kind: str, size: str) -> None:
    content = encoded.noise(kind) if size == "short" else long(encoded, kind)
    whole = hash_of_bytes(tmp_path, content)
    end = payload_of(tmp_path / "hashed").ranges[-1].end
    for cut_bytes in (1, 4, 417):
        cut = hash_of_bytes(tmp_path, content[: end - cut_bytes])
        assert cut is not None
        assert whole is not None
        assert cut.digest != whole.digest
        assert cut.payload_bytes < whole.payload_bytes


def test_a_flac_that_differs_between_the_samples_is_told_by_its_md5(encoded: AudioFactory, tmp_path: Path) -> None:
    content = long(encoded, "flac")
    md5 = content.index(b"fLaC") + 4 + 4 + 18
    assert hash_of_bytes(tmp_path, damaged(content, md5)) != hash_of_bytes(tmp_path, content)


# Where the sound is


def test_the_payload_is_what_lies_between_the_tags(encoded: AudioFactory, tmp_path: Path) -> None:
    def found(content: bytes) -> list[bytes]:
        path = tmp_path / "a"
        path.write_bytes(content)
        return [content[start:end] for start, end in payload_of(path).ranges]

    mp3 = encoded.noise("mp3")
    assert found(mp3) == [mp3[mp3.index(b"\xff\xfb") :]]
    wav = encoded.noise("wav")
    assert found(wav) == [wav[wav.index(b"data") + 8 :]]
    m4a = encoded.noise("m4a")
    mdat = m4a.index(b"mdat")
    assert found(m4a) == [m4a[mdat + 4 : mdat - 4 + int.from_bytes(m4a[mdat - 4 : mdat], "big")]]
    flac = encoded.noise("flac")
    assert [len(part) for part in found(flac)] == [34, len(flac) - flac.index(b"\xff\xf8")]
    ogg = encoded.noise("ogg")
    (pages,) = found(ogg)
    assert (pages[:4], ogg.endswith(pages), b"vorbis" in pages) == (b"OggS", True, False)


def test_leading_rubbish_is_not_part_of_frames(encoded: AudioFactory, tmp_path: Path) -> None:
    for kind in ("mp3", "aac"):
        sound = encoded.noise(kind)
        path = tmp_path / "a"
        path.write_bytes(b"ID3\x03\0\0\0\0\0\x08" + bytes(8) + bytes(30_000) + sound)
        audio = hash_of(path)
        tagless = sound[payload_of_bytes(tmp_path, sound).ranges[0].start :]
        assert audio == hash_of_bytes(tmp_path, tagless)


def payload_of_bytes(folder: Path, content: bytes) -> Payload:
    path = folder / "payload"
    path.write_bytes(content)
    return payload_of(path)


def test_sizes_of_sixty_four_bits_are_understood(tmp_path: Path) -> None:
    ftyp = b"\0\0\0\x08ftyp"
    large_atom = ftyp + b"\0\0\0\x01mdat" + (24).to_bytes(8, "big") + b"SOUND..." + b"\0\0\0\x08free"
    assert payload_of_bytes(tmp_path, large_atom).ranges == (ByteRange(24, 32),)
    last_atom = ftyp + b"\0\0\0\0mdat" + b"SOUND..."
    assert payload_of_bytes(tmp_path, last_atom).ranges == (ByteRange(16, 24),)
    fragments = ftyp + (b"\0\0\0\x0cmoof1234" + b"\0\0\0\x0cmdat5678") * 3
    assert payload_of_bytes(tmp_path, fragments).ranges == ((28, 32), (52, 56), (76, 80))
    ds64 = b"ds64" + (28).to_bytes(4, "little") + bytes(8) + (8).to_bytes(8, "little") + bytes(12)
    rf64 = b"RF64\xff\xff\xff\xffWAVE" + ds64 + b"data\xff\xff\xff\xff" + b"SOUND..." + b"id3 \x04\0\0\0tags"
    assert payload_of_bytes(tmp_path, rf64).ranges == (ByteRange(56, 64),)
    endless = b"RIFF\xff\xff\xff\xffWAVE" + b"data\xff\xff\xff\xff" + b"SOUND..."
    assert payload_of_bytes(tmp_path, endless).ranges == (ByteRange(20, 28),)


def test_fragmented_mp4_from_ffmpeg_is_hashed(encoded: AudioFactory, tmp_path: Path) -> None:
    options = ("-movflags", "frag_keyframe+empty_moov", "-frag_duration", "200000")
    path = tmp_path / "a.m4a"
    path.write_bytes(encoded.noise("m4a", 3, 1, options))
    before = hash_of(path)
    assert len(payload_of(path).ranges) > 5
    for done in edits(path, "m4a"):
        assert hash_of(path) == before, done


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=8),
    offset=st.integers(0, 400),
    length=st.integers(0, 400),
)
def test_a_part_of_a_payload_is_a_slice_of_its_bytes(lengths: list[int], offset: int, length: int) -> None:
    starts = [sum(lengths[:index]) + 3 * index for index in range(len(lengths))]
    payload = Payload(tuple(ByteRange(start, start + size) for start, size in zip(starts, lengths, strict=True)))
    whole = [at for start, end in payload.ranges for at in range(start, end)]
    parts = list(payload.part(offset, length))
    assert [at for start, end in parts for at in range(start, end)] == whole[offset : offset + length]
    assert all(before.end <= after.start for before, after in pairwise(parts))


# What it costs


def bytes_read_by(read: Callable[[], object]) -> int:
    """Counted by the kernel: everything that this process gets from read system calls of any kind."""

    def counter() -> int:
        with open("/proc/self/io", "rb", buffering=0) as io:
            return int(io.read().split()[1])

    by_counting = -counter() + counter()
    before = counter()
    read()
    return counter() - before - by_counting


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="counts bytes with /proc/self/io, which Linux has")
@pytest.mark.parametrize("kind", KINDS)
def test_one_hash_reads_at_most_a_million_bytes(encoded: AudioFactory, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(long(encoded, kind))
    if kind in TAGGERS:
        for _ in edits(path, kind):
            assert bytes_read_by(lambda: audio_hash(str(path))) <= MAX_READ_BYTES == 1_000_000
            assert bytes_read_by(lambda: payload_bytes(str(path))) < 50_000
    assert SAMPLES * SAMPLE_BYTES <= bytes_read_by(lambda: audio_hash(str(path))) <= MAX_READ_BYTES


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="counts bytes with /proc/self/io, which Linux has")
def test_large_covers_in_ogg_files_are_not_read(encoded: AudioFactory, tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    path.write_bytes(long(encoded, "opus"))
    audio = OggOpus(path)
    set_cover(audio, cover_of(5_000_000))
    audio.save()
    assert bytes_read_by(lambda: audio_hash(str(path))) < 850_000
    assert bytes_read_by(lambda: payload_bytes(str(path))) < 100_000


def test_hashing_needs_no_tag_library() -> None:
    code = "import sys, nomarr.components.media.audio_hash_comp; sys.exit('mutagen' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_hashes_and_hashers_can_be_sent_to_a_worker_process() -> None:
    for value in (AudioHash("0" * 32, 5), audio_hash, payload_bytes, Payload((ByteRange(0, 1),))):
        assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own values


# Files that are not what they say


def error_of(path: Path | str) -> str:
    with pytest.raises(UnreadableAudio) as by_hash:
        audio_hash(str(path))
    with pytest.raises(UnreadableAudio) as by_size:
        payload_bytes(str(path))
    assert str(by_hash.value) == str(by_size.value)
    return str(by_hash.value)


def test_a_file_without_sound_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    for content, error in (
        (b"", "is empty"),
        (b"hello world", "is not an audio file, it looks like text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "is not an audio file, it looks like a picture"),
        (bytes(5000), "is not an audio file, it looks like nothing but zeros"),
        (b"ID3\x03\0\0\0\0\x01\0" + bytes(128), "is cut short: it holds a tag and no audio"),
        (b"\0\0\0\x08ftyp" + b"\0\0\0\x08mdat", "is cut short: it holds no sound"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "is cut short: it holds no sound"),
        (b"fLaC\x80\0\0\x22" + bytes(34), "is cut short: it holds no sound"),
        (b"OggS\0\x02" + bytes(20) + b"\x01\x08OpusHead", "is cut short or damaged: its Ogg headers have no end"),
    ):
        path.write_bytes(content)
        assert error_of(path) == error


def test_what_can_not_be_opened_is_an_error_of_the_system(tmp_path: Path) -> None:
    for hasher in (audio_hash, payload_bytes):
        with pytest.raises(FileNotFoundError):
            hasher(str(tmp_path / "gone.mp3"))
    os.mkfifo(tmp_path / "a.mp3")
    assert error_of(tmp_path / "a.mp3") == "is a named pipe, not an audio file"


def assert_quick_and_harmless(path: Path) -> None:
    # Of the processor: others may be at work.
    started = time.process_time()
    for hasher in (audio_hash, payload_bytes):
        try:
            hasher(str(path))
        except UnreadableAudio:
            continue
    assert time.process_time() - started < SECONDS_AT_MOST


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\x08ftyp" + b"\0\0\0\x08free" * 300_000,
        b"\0\0\0\x08ftyp" + b"\0\0\0\x09mdatx" * 300_000,
        b"\0\0\0\x08ftyp\0\0\0\x01mdat" + b"\xff" * 8,
        b"\0\0\0\x08ftyp\0\0\0\x01mdat" + b"\0" * 8,
        b"RIFF\xff\xff\xff\xffWAVE" + b"JUNK\0\0\0\0" * 300_000,
        b"RF64\xff\xff\xff\xffWAVEds64" + b"\xff" * 100 + b"data\xff\xff\xff\xff",
        b"FORM\xff\xff\xff\xffAIFF" + b"ANNO\0\0\0\0" * 300_000,
        b"DSD \x1c" + b"\0" * 7 + b"\0" * 16 + b"fmt \x0c\0\0\0\0\0\0\0" * 200_000,
        bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + (b"\x18" + b"\0" * 7 + b"x" * 16) * 99_999,
        b"OggS\0\x02" + b"\0" * 20 + b"\x01\x08OpusHead" + (b"OggS" + b"\0" * 23) * 100_000,
        b"OggS\0\x02" + b"\0" * 20 + b"\x01\x08OpusHead" + (b"OggS" + b"\0" * 22 + b"\x02\1\0a") * 100_000,
        (b"OggS\0\x02" + b"\0" * 21) * 100_000,
        b"fLaC" + b"\x01\0\0\0" * 500_000,
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" + b"\x1f\x43\xb6\x75\x81x" * 100_000,
        b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x81x" * 100_000,
        b"\xff\xfb\x90" * 300_000,
        b"\xff" * 500_000,
        b"\xff\xf1\x50\x80\x01\x1f\xfc\0" * 100_000,
        b"MAC " + b"x" * 9 + (b"TAG" + bytes(125)) * 5_000,
        b"MAC " + (b"APETAGEX\xd0\x07\0\0\x20\0\0\0" + bytes(16)) * 5_000,
        b"ID3\x03\0\0\0\0\0\0" * 100_000,
    ],
)  # fmt: skip
def test_files_that_are_made_to_hurt_end_quickly(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(head)
    assert_quick_and_harmless(path)
    os.truncate(path, 4 << 30)
    assert_quick_and_harmless(path)


@settings(EXAMPLES, max_examples=500)
@given(magic=st.sampled_from(MAGICS), body=st.binary(max_size=600), end=st.sampled_from([b"", b"TAG" + bytes(125)]))
def test_random_bytes_are_hashed_or_unreadable(tmp_path: Path, magic: bytes, body: bytes, end: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(magic + body + end)
    assert_quick_and_harmless(path)


@pytest.mark.parametrize("kind", KINDS)
@settings(EXAMPLES, max_examples=40)
@given(chance=st.randoms(use_true_random=False))
def test_damaged_files_are_hashed_or_unreadable(
    encoded: AudioFactory, tmp_path: Path, kind: str, chance: Random
) -> None:
    path = tmp_path / f"a.{kind}"
    content = bytearray(encoded.write(path, kind, Song()).read_bytes())
    for _ in range(chance.randrange(1, 60)):
        content[chance.randrange(min(len(content), 3000))] = chance.choice((0, 0xFF, 0x7F, 0x80, 1))
    start = chance.randrange(len(content))
    del content[start : start + chance.choice((0, 1, 500, len(content)))]
    path.write_bytes(content)
    assert_quick_and_harmless(path)
