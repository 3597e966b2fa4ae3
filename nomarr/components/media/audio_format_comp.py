"""What kind of audio a file holds, by its first bytes: extensions are only asked where these are silent."""

from __future__ import annotations

from typing import Final

from nomarr.components.media.audio_file_comp import AudioFile, UnreadableAudio
from nomarr.helpers.file_kinds import AUDIO_FORMATS

__all__ = ["HEAD_BYTES", "end_of_id3", "expected_format", "format_of", "magic_of", "syncsafe", "what_it_is_not"]

_NAMES: Final = {
    "mp3": "an MP3",
    "flac": "a FLAC",
    "wav": "a WAV",
    "aiff": "an AIFF",
    "ogg": "an Ogg",
    "opus": "an Opus",
    "mp4": "an MP4",
    "aac": "an AAC",
    "asf": "a WMA",
    "ape": "a Monkey's Audio",
    "wavpack": "a WavPack",
    "musepack": "a Musepack",
    "dsf": "a DSF",
    "trueaudio": "a True Audio",
    "matroska": "a Matroska",
}
_MAGIC: Final = (
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"MAC ", "ape"),
    (b"wvpk", "wavpack"),
    (b"MPCK", "musepack"),
    (b"MP+", "musepack"),
    (b"DSD ", "dsf"),
    (b"TTA1", "trueaudio"),
    (b"ADIF", "aac"),
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", "asf"),
)
HEAD_BYTES: Final = 64
"""As many are needed to say what a file is."""

_ID3_FOOTER_FLAG: Final = 0x10
_MP4_FIRST_ATOMS: Final = frozenset((b"ftyp", b"moov", b"mdat", b"wide"))
_WITHOUT_MAGIC: Final = frozenset(("mp3", "aac"))
"""Streams that are found by searching: their files may begin with anything."""

_OTHER_KINDS: Final = (
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"%PDF", "a PDF document"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"\x7fELF", "a program"),
)


def format_of(audio: AudioFile, path: str) -> str:
    """The format of the file, a value of `AUDIO_FORMATS`: what its first bytes say, or its name where they say nothing.

    Raises UnreadableAudio for what is no audio. Afterwards `audio` stands at its beginning.
    """
    if audio.size == 0:
        raise UnreadableAudio("is empty")
    expected = expected_format(path)
    head = audio.read_at(0, HEAD_BYTES)
    actual = _format_by_head(head, audio, expected)
    if actual is None and expected not in _WITHOUT_MAGIC:
        raise UnreadableAudio(what_it_is_not(expected, head))
    audio.seek(0)
    return actual or expected or "mp3"


def expected_format(path: str) -> str | None:
    """What the name says."""
    return AUDIO_FORMATS.get(path.rpartition(".")[2].lower())


def _format_by_head(head: bytes, audio: AudioFile, expected: str | None) -> str | None:
    """What the first bytes say; None if they say nothing."""
    if head.startswith(b"ID3"):
        # MP3 is the usual owner of a leading ID3 tag, but others get one, too.
        behind = audio.read_at(end_of_id3(audio), HEAD_BYTES)
        return magic_of(behind) or (expected if expected in _WITHOUT_MAGIC else "mp3")
    return magic_of(head)


def end_of_id3(audio: AudioFile) -> int:
    """Where the ID3v2 tags at the beginning end; Windows Media Player stacks several of them."""
    end = 0
    for _ in range(8):
        header = audio.read_at(end, 10)
        if len(header) < 10 or not header.startswith(b"ID3"):
            break
        has_footer = header[3] == 4 and header[5] & _ID3_FOOTER_FLAG
        end += 10 + syncsafe(header[6:]) + (10 if has_footer else 0)
    return end


def syncsafe(number: bytes) -> int:
    """The size in an ID3v2 header: seven bits a byte, so that it never looks like the beginning of a frame."""
    value = 0
    for byte in number:
        value = value << 7 | byte & 0x7F
    return value


def magic_of(head: bytes) -> str | None:
    """The format whose files begin like this; None if there is none."""
    if head[:1] == b"\xff" and len(head) > 3:
        return _format_of_sync(head)
    for magic, format_name in _MAGIC:
        if head.startswith(magic):
            return format_name
    if head[4:8] in _MP4_FIRST_ATOMS:
        return "mp4"
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    return None


def _format_of_sync(head: bytes) -> str | None:
    """Both start with eleven ones; MPEG audio has a layer, ADTS has none. JPEG (ff d8) has fewer ones."""
    if head[1] & 0xF6 == 0xF0:
        return "aac"
    return "mp3" if head[1] & 0xE0 == 0xE0 and head[1] & 0x06 else None


def what_it_is_not(expected: str | None, head: bytes) -> str:
    """The sentence for a file that begins with `head` and is not of the `expected` format, or of none."""
    wanted = f"is not {_NAMES[expected]} file" if expected else "is not an audio file"
    found = next((name for magic, name in _OTHER_KINDS if head.startswith(magic)), None)
    if found is None and not head.strip(b"\0"):
        found = "nothing but zeros"
    if found is None and _is_text(head):
        found = "text"
    return f"{wanted}, it looks like {found}" if found else wanted


def _is_text(head: bytes) -> bool:
    return all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)
