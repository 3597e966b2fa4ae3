"""The shortcuts around mutagen's slow places read the same as mutagen, whatever the bytes are."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mutagen import MutagenError
from mutagen.flac import VCFLACDict
from mutagen.id3 import COMM, TCON, TIT2, TXXX, TextFrame

from nomarr.components.media.containers_comp import _QuickComments
from nomarr.components.media.id3_comp import _FRAMES

FRAMES = (TIT2, TCON, TXXX, COMM)

texts = st.lists(st.text(max_size=8), max_size=4)
encodings = st.sampled_from((("latin-1", 0), ("utf-16", 1), ("utf-16-be", 2), ("utf-8", 3)))


class Header:
    """What a frame asks of the tag around it."""

    _V24, _V23, _V22 = (2, 4, 0), (2, 3, 0), (2, 2, 0)
    f_unsynch = False

    def __init__(self, version: tuple[int, int, int]) -> None:
        self.version = version


@st.composite
def frame_bodies(draw: st.DrawFn) -> bytes:
    """Mostly sound frames: an encoding, perhaps a language, strings with or without their ends, a cut, zeros."""
    codec, number = draw(encodings)
    zero = "\0".encode("utf-16-be" if number in (1, 2) else "latin-1")
    language = draw(st.sampled_from((b"", b"eng", b"\xff\xfe\xfd")))
    strings = [text.encode(codec, "replace") for text in draw(texts)]
    body = bytes([number]) + language + zero.join(strings) + draw(st.sampled_from((b"", zero, zero * 3)))
    return body[: draw(st.integers(0, len(body)))] if draw(st.booleans()) else body


def read(kind: Any, header: Header, data: bytes) -> Any:
    """What counts of a frame; None if it is refused."""
    try:
        frame = kind._fromData(header, 0, data)
    except MutagenError:
        return None
    return frame.HashKey, [text for text in frame.text if text]


@pytest.mark.parametrize("version", [(2, 3, 0), (2, 4, 0)], ids=["v2.3", "v2.4"])
@given(st.one_of(frame_bodies(), st.binary(max_size=40)), st.sampled_from(FRAMES))
@example(b"\x01\xff\xfea\x00\x00\x00\xfe\xff\x00b", TIT2)
@example(b"\x01a\x00", TIT2)
@example(b"\x03name\0", TXXX)
def test_text_frames(version: tuple[int, int, int], data: bytes, kind: type[TextFrame]) -> None:
    header = Header(version)
    theirs = read(kind, header, data)
    ours = read(_FRAMES[kind.__name__], header, data)
    # A frame without any text tells nothing, whether it is refused or empty.
    assert (ours if ours and ours[1] else None) == (theirs if theirs and theirs[1] else None)


class Blocks(BytesIO):
    """The file object that mutagen gives to the reader of a FLAC block."""

    def tryread(self, size: int) -> bytes:
        return self.read(size)


def comments(kind: Any, block: bytes) -> Any:
    """The pairs that Nomarr could want, and where the comments end; None if they are refused."""
    source = Blocks(block)
    try:
        found = kind(source, framing=False)
    except (MutagenError, ValueError):
        return None
    return [(name, value) for name, value in found if name.isascii() and name.isalnum()], source.tell()


@given(
    st.lists(st.tuples(st.sampled_from(("TITLE", "artist", "X Y", "é")), st.text(max_size=8)), max_size=4),
    st.binary(max_size=8),
    st.integers(0, 200),
    st.booleans(),
)
def test_vorbis_comments(pairs: list[tuple[str, str]], behind: bytes, cut: int, is_whole: bool) -> None:
    block = struct.pack("<I", 2) + b"me" + struct.pack("<I", len(pairs))
    for name, value in pairs:
        comment = f"{name}={value}".encode()
        block += struct.pack("<I", len(comment)) + comment
    block += behind
    if not is_whole:
        block = block[:cut]
    assert comments(_QuickComments, block) == comments(VCFLACDict, block)
