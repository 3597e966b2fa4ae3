"""Where covers come from: every format's pictures, and the images beside the music."""

from __future__ import annotations

import base64
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audio_factory import COVER, KINDS, AudioFactory, Song, element
from hypothesis import given
from hypothesis import strategies as st
from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2, APEValue
from mutagen.asf import ASF, ASFByteArrayAttribute
from mutagen.dsf import DSF
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3
from mutagen.mp4 import MP4, MP4Cover
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from nomarr.components.media.audio_file_comp import MAX_PICTURE_BYTES, UnreadableAudio
from nomarr.components.media.cover_art_comp import cover_names, embedded_picture, folder_image, read_image
from nomarr.components.media.decode_cover_comp import UnreadableCover
from nomarr.components.media.read_tags_comp import read_tags

FRONT, BACK, OTHER = 3, 4, 0
A_FRONT, A_BACK = b"\xff\xd8\xff front \x00\x00 front", b"\xff\xd8\xff back \x00 back"
Pictures = list[tuple[int, bytes]]


def _apic(kind: int, content: bytes, encoding: int = 1) -> APIC:
    return APIC(encoding=encoding, mime="image/jpeg", type=kind, desc="the same", data=content)


def _block(kind: int, content: bytes) -> Picture:
    block = Picture()
    block.type, block.mime, block.data = kind, "image/jpeg", content
    return block


def _id3(path: Path, pictures: Pictures) -> None:
    tag = ID3()
    for number, (kind, content) in enumerate(pictures):
        tag[f"APIC:{number}"] = APIC(encoding=1, mime="image/jpeg", type=kind, desc=str(number), data=content)
    tag.save(path)


def _id3_inside(make: Any) -> Callable[[Path, Pictures], None]:
    def write(path: Path, pictures: Pictures) -> None:
        audio = make(path)
        audio.add_tags()
        for number, (kind, content) in enumerate(pictures):
            audio.tags[f"APIC:{number}"] = APIC(encoding=3, mime="image/png", type=kind, desc=str(number), data=content)
        audio.save()

    return write


def _flac(path: Path, pictures: Pictures) -> None:
    audio = FLAC(path)
    for kind, content in pictures:
        audio.add_picture(_block(kind, content))
    audio.save()


def _ogg(make: Any) -> Callable[[Path, Pictures], None]:
    def write(path: Path, pictures: Pictures) -> None:
        audio = make(path)
        blocks = [base64.b64encode(_block(kind, content).write()).decode() for kind, content in pictures]
        audio["metadata_block_picture"] = blocks
        audio.save()

    return write


def _asf(path: Path, pictures: Pictures) -> None:
    audio: Any = ASF(path)
    names = "image/jpeg\0a description\0".encode("utf-16-le")
    audio["WM/Picture"] = [
        ASFByteArrayAttribute(struct.pack("<BI", kind, len(content)) + names + content) for kind, content in pictures
    ]
    audio.save()


def _apev2(path: Path, pictures: Pictures) -> None:
    names = {FRONT: "Cover Art (Front)", BACK: "Cover Art (Back)", OTHER: "Cover Art (Other)"}
    tag: Any = APEv2()
    for kind, content in pictures:
        tag[names[kind]] = APEValue(b"a name.jpg\0" + content, 1)
    tag.save(path)


def _matroska(path: Path, pictures: Pictures) -> None:
    names = {FRONT: b"cover.jpg", BACK: b"back.jpg", OTHER: b"small_cover.jpg"}
    files = b"".join(
        element(0x61A7, element(0x466E, names[kind]) + element(0x4660, b"image/jpeg") + element(0x465C, content))
        for kind, content in pictures
    )
    sound = path.read_bytes()
    start = sound.index(b"\x18\x53\x80\x67") + 4
    segment = element(0x1941A469, files) + sound[start + 8 :]
    path.write_bytes(sound[:start] + b"\x01" + len(segment).to_bytes(7, "big") + segment)


WRITERS: dict[str, Callable[[Path, Pictures], None]] = {
    "mp3": _id3,
    "aac": _id3,
    "tta": _id3,
    "wav": _id3_inside(WAVE),
    "aiff": _id3_inside(AIFF),
    "dsf": _id3_inside(DSF),
    "flac": _flac,
    "ogg": _ogg(OggVorbis),
    "opus": _ogg(OggOpus),
    "wma": _asf,
    "ape": _apev2,
    "wv": _apev2,
    "mpc": _apev2,
    "mka": _matroska,
}
WITH_KINDS = sorted(WRITERS)


def with_pictures(encoded: AudioFactory, folder: Path, kind: str, pictures: Pictures) -> str:
    path = encoded.write(folder / f"a.{kind}", kind)
    WRITERS[kind](path, pictures)
    return str(path)


def picture_or_sentence(path: Path) -> bytes | str | None:
    try:
        return embedded_picture(str(path))
    except UnreadableAudio as problem:
        return str(problem)


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_its_picture(encoded: AudioFactory, tmp_path: Path, kind: str) -> None:
    assert embedded_picture(str(encoded.write(tmp_path / f"a.{kind}", kind, Song()))) == COVER


@pytest.mark.parametrize("kind", KINDS)
def test_no_format_gives_a_picture_that_is_not_there(encoded: AudioFactory, tmp_path: Path, kind: str) -> None:
    assert embedded_picture(str(encoded.write(tmp_path / f"a.{kind}", kind))) is None


@pytest.mark.parametrize("kind", WITH_KINDS)
def test_the_front_comes_before_the_back(encoded: AudioFactory, tmp_path: Path, kind: str) -> None:
    path = with_pictures(encoded, tmp_path, kind, [(BACK, A_BACK), (FRONT, A_FRONT)])
    assert embedded_picture(path) == A_FRONT


@pytest.mark.parametrize("kind", WITH_KINDS)
def test_the_first_one_counts_where_none_is_the_front(encoded: AudioFactory, tmp_path: Path, kind: str) -> None:
    path = with_pictures(encoded, tmp_path, kind, [(BACK, A_BACK), (OTHER, A_FRONT)])
    assert embedded_picture(path) == A_BACK


@pytest.mark.parametrize("kind", WITH_KINDS)
def test_an_empty_picture_counts_for_none(encoded: AudioFactory, tmp_path: Path, kind: str) -> None:
    path = with_pictures(encoded, tmp_path, kind, [(FRONT, b""), (BACK, A_BACK)])
    assert embedded_picture(path) == A_BACK


def test_the_first_of_several_in_an_mp4_counts(encoded: AudioFactory, tmp_path: Path) -> None:
    path = encoded.write(tmp_path / "a.m4a", "m4a")
    audio: Any = MP4(path)
    audio["covr"] = [MP4Cover(A_FRONT), MP4Cover(A_BACK)]
    audio.save()
    assert embedded_picture(str(path)) == A_FRONT


def test_pictures_of_the_same_description_are_all_seen(encoded: AudioFactory, tmp_path: Path) -> None:
    path = encoded.write(tmp_path / "a.wav", "wav")
    audio: Any = WAVE(path)
    audio.add_tags()
    audio.tags["1"], audio.tags["2"] = _apic(BACK, A_BACK), _apic(FRONT, A_FRONT)
    audio.save()
    assert embedded_picture(str(path)) == A_FRONT


@pytest.mark.parametrize("encoding", range(4))
@pytest.mark.parametrize("version", [3, 4])
def test_every_encoding_of_a_description(encoded: AudioFactory, tmp_path: Path, encoding: int, version: int) -> None:
    path = encoded.write(tmp_path / "a.mp3", "mp3")
    tag: Any = ID3()
    tag.add(_apic(FRONT, b"\0\0\0" + A_FRONT, encoding))
    tag.save(path, v2_version=version)
    assert embedded_picture(str(path)) == b"\0\0\0" + A_FRONT


def test_the_oldest_id3_has_pictures_too(encoded: AudioFactory, tmp_path: Path) -> None:
    body = b"\0JPG\x03a description\0" + A_FRONT
    frame = b"PIC" + len(body).to_bytes(3, "big") + body
    path = tmp_path / "a.mp3"
    path.write_bytes(b"ID3\x02\0\0\0\0\0" + bytes([len(frame)]) + frame + encoded.sound("mp3"))
    assert embedded_picture(str(path)) == A_FRONT


def test_a_picture_behind_the_sound_of_an_mp3(encoded: AudioFactory, tmp_path: Path) -> None:
    path = encoded.write(tmp_path / "a.mp3", "mp3")
    _id3(path, [(BACK, A_BACK)])
    _apev2(path, [(FRONT, A_FRONT)])
    assert embedded_picture(str(path)) == A_FRONT


@pytest.mark.parametrize("kind", ["flac", "ogg", "opus"])
def test_the_old_comment_with_a_picture(encoded: AudioFactory, tmp_path: Path, kind: str) -> None:
    path = encoded.write(tmp_path / f"a.{kind}", kind)
    audio: Any = {"flac": FLAC, "ogg": OggVorbis, "opus": OggOpus}[kind](path)
    audio["coverart"] = [base64.b64encode(A_FRONT).decode()]
    audio.save()
    assert embedded_picture(str(path)) == A_FRONT


@pytest.mark.parametrize("text", ["!", "AAAA", base64.b64encode(_block(FRONT, A_FRONT).write()[:20]).decode(), "é"])
def test_a_damaged_comment_hides_no_sound_one(encoded: AudioFactory, tmp_path: Path, text: str) -> None:
    path = encoded.write(tmp_path / "a.ogg", "ogg")
    audio: Any = OggVorbis(path)
    audio["metadata_block_picture"] = [text, base64.b64encode(_block(BACK, A_BACK).write()).decode()]
    audio.save()
    assert embedded_picture(str(path)) == A_BACK


def test_an_address_is_no_picture(encoded: AudioFactory, tmp_path: Path) -> None:
    path = encoded.write(tmp_path / "a.mp3", "mp3")
    tag: Any = ID3()
    tag.add(APIC(encoding=0, mime="-->", type=FRONT, desc="", data=b"http://example.org/cover.jpg"))
    tag.save(path)
    assert embedded_picture(str(path)) is None


def test_a_picture_that_is_too_large_counts_for_none(encoded: AudioFactory, tmp_path: Path) -> None:
    path = encoded.write(tmp_path / "a.mp3", "mp3")
    _id3(path, [(FRONT, bytes(MAX_PICTURE_BYTES + 1)), (BACK, A_BACK)])
    assert embedded_picture(str(path)) == A_BACK


def test_a_compressed_picture_is_inflated_within_the_limit(encoded: AudioFactory, tmp_path: Path) -> None:
    for content, expected in ((A_FRONT, A_FRONT), (bytes(MAX_PICTURE_BYTES + 1), None)):
        body = zlib.compress(b"\0image/jpeg\0\x03\0" + content)
        frame = b"APIC" + struct.pack(">IHI", len(body) + 4, 0x0080, MAX_PICTURE_BYTES) + body
        size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
        path = tmp_path / "a.mp3"
        path.write_bytes(b"ID3\x03\0\0" + size + frame + encoded.sound("mp3"))
        assert embedded_picture(str(path)) == expected


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg", "m4a", "wma", "mka"])
def test_a_file_that_says_it_has_a_cover_gives_one(encoded: AudioFactory, tmp_path: Path, kind: str) -> None:
    path = str(encoded.write(tmp_path / f"a.{kind}", kind, Song()))
    tags = read_tags(path).tags
    assert tags is not None
    assert tags.has_cover == (embedded_picture(path) is not None)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_gives_a_picture_none_or_a_sentence(encoded: AudioFactory, tmp_path: Path, kind: str) -> None:
    path = encoded.write(tmp_path / f"a.{kind}", kind, Song())
    sound = path.read_bytes()
    numbers = random.Random(kind)
    for _ in range(40):
        damaged = bytearray(sound[: numbers.randrange(len(sound))] if numbers.random() < 0.5 else sound)
        for _ in range(numbers.randrange(20)):
            if damaged:
                damaged[numbers.randrange(min(len(damaged), 2000))] = numbers.randrange(256)
        path.write_bytes(damaged)
        outcome = picture_or_sentence(path)
        assert outcome is None or outcome
        assert not isinstance(outcome, str) or "\n" not in outcome


def test_what_is_no_audio_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(b"%PDF-1.7 ")
    with pytest.raises(UnreadableAudio, match="is not a FLAC file, it looks like a PDF document"):
        embedded_picture(str(tmp_path / "a.flac"))
    os.mkfifo(tmp_path / "b.mp3")
    with pytest.raises(UnreadableAudio, match="is a named pipe"):
        embedded_picture(str(tmp_path / "b.mp3"))
    with pytest.raises(FileNotFoundError):
        embedded_picture(str(tmp_path / "c.mp3"))
    with pytest.raises(UnreadableAudio, match="no file can have"):
        embedded_picture(str(tmp_path / "c\0.mp3"))


IN_ORDER = [
    "cover.jpg",
    "Cover.JPEG",
    "COVER.PNG",
    "cover.webp",
    "cover.bmp",
    "cover.gif",
    "Folder.jpg",
    "front.png",
    "album.jpg",
    "AlbumArt.jpg",
    "artwork.gif",
    "thumb.jpg",
    "AlbumArt_{0123}_Large.jpg",
    "Front (1999).jpg",
    "the cover.jpg",
    "front.jpg.png",
    "AlbumArtSmall.jpg",
]
NO_COVERS = [
    "._cover.jpg",
    ".cover.jpg",
    "back.jpg",
    "Back Cover.jpg",
    "cover",
    "cover.jpg.txt",
    "cover.mp3",
    "cover.svg",
    "band.jpg",
    "",
]


@given(st.permutations(IN_ORDER + NO_COVERS))
def test_the_best_name_comes_first_whatever_the_order_of_the_folder(names: list[str]) -> None:
    assert cover_names(names) == IN_ORDER


def test_the_image_of_a_folder(tmp_path: Path) -> None:
    assert folder_image(str(tmp_path)) is None
    for name in ("band.jpg", "cover back.jpg", "._cover.jpg"):
        (tmp_path / name).write_bytes(b"x")
    assert folder_image(str(tmp_path)) is None
    for name in ("Some Front.png", "Folder.JPG", "cover.png"):
        (tmp_path / name).write_bytes(b"x")
        assert folder_image(str(tmp_path)) == str(tmp_path / name)


def test_only_a_regular_file_is_the_image_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "cover.jpg").mkdir()
    os.mkfifo(tmp_path / "cover.jpeg")
    (tmp_path / "cover.png").symlink_to("nowhere")
    assert folder_image(str(tmp_path)) is None
    (tmp_path / "picture").write_bytes(b"x")
    (tmp_path / "thumb.gif").symlink_to("picture")
    assert folder_image(str(tmp_path)) == str(tmp_path / "thumb.gif")


def test_names_of_any_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"cover \xff.jpg")
    (tmp_path / name).write_bytes(b"x")
    assert folder_image(str(tmp_path)) == str(tmp_path / name)


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        folder_image(str(tmp_path / "gone"))


def test_an_image_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "cover.jpg"
    path.write_bytes(b"x" * 100)
    assert read_image(str(path), limit=100) == b"x" * 100
    with pytest.raises(UnreadableCover, match="is larger than 99 bytes"):
        read_image(str(path), limit=99)
    os.truncate(path, MAX_PICTURE_BYTES + 1)
    with pytest.raises(UnreadableCover, match="is larger than 32 MiB"):
        read_image(str(path))


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cover.jpg")
    with pytest.raises(UnreadableCover, match="is a named pipe, not an image"):
        read_image(str(tmp_path / "cover.jpg"))
    with pytest.raises(FileNotFoundError):
        read_image(str(tmp_path / "gone.jpg"))
