"""Real audio files for tests: encoded by ffmpeg once a session, tagged with mutagen."""

from __future__ import annotations

import base64
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2, APEValue
from mutagen.asf import ASF, ASFByteArrayAttribute, ASFUnicodeAttribute
from mutagen.dsf import DSF
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, COMM, ID3, TXXX, UFID, USLT, Frames
from mutagen.mp4 import MP4, MP4Cover
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

COVER = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40

ENCODERS = {
    "mp3": ["-c:a", "libmp3lame", "-b:a", "128k"],
    "flac": ["-c:a", "flac"],
    "wav": ["-c:a", "pcm_s16le"],
    "aiff": ["-c:a", "pcm_s16be"],
    "ogg": ["-c:a", "libvorbis"],
    "oga": ["-c:a", "flac"],
    "spx": ["-c:a", "libspeex", "-ar", "16000"],
    "opus": ["-c:a", "libopus"],
    "m4a": ["-c:a", "aac"],
    "alac.m4a": ["-c:a", "alac"],
    "aac": ["-c:a", "aac", "-f", "adts"],
    "wma": ["-c:a", "wmav2"],
    "wv": ["-c:a", "wavpack"],
    "tta": ["-c:a", "tta"],
    "mka": ["-c:a", "flac"],
}
"""ffmpeg has no encoder for Monkey's Audio, Musepack and DSD: their streams are made here, by hand."""

KINDS = (*ENCODERS, "ape", "mpc", "dsf")

MAGICS = [
    b"", b"ID3\x03\0\0\0\0\x01\0", b"ID3\x04\0\0\0\0\x01\0TIT2", b"ID3\x02\0\0\0\0\x01\0TT2", b"fLaC", b"OggS\0\x02",
    b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80", b"RIFF\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF", b"\0\0\0\x08ftyp\0\0\0\x40moov",
    b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff", b"MAC ", b"wvpk", b"MPCK", b"MP+\x07", b"DSD ",
    b"TTA1", bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
]  # fmt: skip
"""How files begin that say what they are."""


@dataclass(frozen=True)
class Song:
    """What a test writes into a file, in every format's own words."""

    title: str = "Déjà vu — 既視感"
    artist: tuple[str, ...] = ("AC/DC feat. Björk",)
    artists: tuple[str, ...] = ("AC/DC", "Björk")
    album: str = "An album"
    albumartist: str = "Various"
    track: tuple[int, int] = (3, 12)
    disc: tuple[int, int] = (1, 2)
    date: str = "1999-03-02"
    genre: tuple[str, ...] = ("Rock", "Jazz")
    composer: tuple[str, ...] = ("One", "Two")
    comment: str = "A comment"
    lyrics: str = "La la"
    compilation: bool = True
    ids: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "recording": ("00000000-0000-4000-8000-000000000001",),
            "track": ("00000000-0000-4000-8000-000000000002",),
            "album": ("00000000-0000-4000-8000-000000000003",),
            "release_group": ("00000000-0000-4000-8000-000000000004",),
            "artist": ("00000000-0000-4000-8000-000000000005", "00000000-0000-4000-8000-000000000006"),
            "albumartist": ("00000000-0000-4000-8000-000000000007",),
        }
    )
    gains: dict[str, str] = field(
        default_factory=lambda: {
            "replaygain_track_gain": "-6.50 dB",
            "replaygain_track_peak": "0.987654",
            "replaygain_album_gain": "+1,25 dB",
            "replaygain_album_peak": "1.0",
        }
    )


@cache
def tool_is_there() -> bool:
    return shutil.which("ffmpeg") is not None


class AudioFactory:
    """Hands out copies of one encoded second of sound per format."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._encoded: dict[str, bytes] = {}

    def sound(self, kind: str) -> bytes:
        if kind not in self._encoded:
            self._encoded[kind] = _BY_HAND[kind]() if kind in _BY_HAND else self._encode(kind)
        return self._encoded[kind]

    def write(self, path: Path, kind: str, song: Song | None = None) -> Path:
        path.write_bytes(self.sound(kind))
        if song is not None:
            write_tags(path, kind, song)
        return path

    def noise(self, kind: str, seconds: int = 1, seed: int = 1, options: tuple[str, ...] = ()) -> bytes:
        """Sound that does not compress, another for each seed, encoded with `options` beyond the usual ones."""
        name = f"{kind} {seconds} {seed} {options}"
        if name not in self._encoded:
            self._encoded[name] = self._noise(kind, seconds, seed, options)
        return self._encoded[name]

    def _noise(self, kind: str, seconds: int, seed: int, options: tuple[str, ...]) -> bytes:
        if kind in _BY_HAND:
            return _BY_HAND[kind](Random(seed).randbytes(seconds * 32_768))
        return self._encode(kind, f"anoisesrc=seed={seed}:duration={seconds}:sample_rate=44100", options)

    def _encode(
        self, kind: str, sound: str = "sine=frequency=440:duration=1:sample_rate=44100", options: tuple[str, ...] = ()
    ) -> bytes:
        target = self._folder / f"sound.{kind}"
        source = ["-f", "lavfi", "-i", sound, "-ac", "2"]
        encoder = [*ENCODERS[kind], *options]
        command = ["ffmpeg", "-v", "error", "-y", *source, "-map_metadata", "-1", *encoder, str(target)]
        subprocess.run(command, check=True, capture_output=True)
        return target.read_bytes()


def _monkeys_audio(frames: bytes = bytes(64)) -> bytes:
    descriptor = struct.pack("<4sHHIIIIIII16s", b"MAC ", 3990, 0, 52, 24, 0, 44, 0, 0, 0, b"")
    header = struct.pack("<HHIIIHHI", 2000, 0, 73728, 44100, 1, 16, 2, 44100)
    return descriptor + header + frames


def _musepack(frames: bytes = bytes(64)) -> bytes:
    # Stream version 7: frames, max band and flags (44100 Hz), peaks and gains.
    return b"MP+\x07" + struct.pack("<IIHHHHI", 38, 0, 0, 0, 0, 0, 0) + frames


def _dsf(samples: bytes = b"\x69" * 8192) -> bytes:
    fmt = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 2, 2, 2822400, 1, 2822400, 4096, 0)
    chunk = struct.pack("<4sQ", b"data", 12 + len(samples)) + samples
    return struct.pack("<4sQQQ", b"DSD ", 28, 28 + len(fmt) + len(chunk), 0) + fmt + chunk


_BY_HAND: dict[str, Callable[..., bytes]] = {"ape": _monkeys_audio, "mpc": _musepack, "dsf": _dsf}


def write_tags(path: Path, kind: str, song: Song) -> None:
    """Write `song` into the file with the names that Picard uses."""
    if kind in ("mp3", "aac", "tta"):
        id3 = ID3()
        fill_id3(id3, song)
        id3.save(path)
    elif kind in ("wav", "aiff", "dsf"):
        audio: Any = {"wav": WAVE, "aiff": AIFF, "dsf": DSF}[kind](path)
        audio.add_tags()
        fill_id3(audio.tags, song)
        audio.save()
    elif kind in ("flac", "ogg", "oga", "spx", "opus"):
        _write_vorbis(path, kind, song)
    elif kind.endswith("m4a"):
        _write_mp4(path, song)
    elif kind == "wma":
        _write_asf(path, song)
    elif kind in ("ape", "wv", "mpc"):
        _write_apev2(path, song)
    elif kind == "mka":
        _write_matroska(path, song)


def fill_id3(id3: Any, song: Song) -> None:
    texts: dict[str, Iterable[str]] = {
        "TIT2": (song.title,),
        "TPE1": song.artist,
        "TALB": (song.album,),
        "TPE2": (song.albumartist,),
        "TRCK": ("{}/{}".format(*song.track),),
        "TPOS": ("{}/{}".format(*song.disc),),
        "TDRC": (song.date,),
        "TCON": song.genre,
        "TCOM": song.composer,
        "TCMP": (str(int(song.compilation)),),
    }
    for name, values in texts.items():
        id3.add(Frames[name](encoding=3, text=list(values)))
    described = {
        "ARTISTS": song.artists,
        "MusicBrainz Release Track Id": song.ids["track"],
        "MusicBrainz Album Id": song.ids["album"],
        "MusicBrainz Release Group Id": song.ids["release_group"],
        "MusicBrainz Artist Id": song.ids["artist"],
        "MusicBrainz Album Artist Id": song.ids["albumartist"],
        **{name.upper(): (text,) for name, text in song.gains.items()},
    }
    for description, values in described.items():
        id3.add(TXXX(encoding=3, desc=description, text=list(values)))
    id3.add(UFID(owner="http://musicbrainz.org", data=song.ids["recording"][0].encode()))
    id3.add(COMM(encoding=3, lang="eng", desc="", text=[song.comment]))
    id3.add(COMM(encoding=3, lang="eng", desc="iTunNORM", text=["00000001"]))
    id3.add(USLT(encoding=3, lang="eng", desc="", text=song.lyrics))
    id3.add(APIC(encoding=3, mime="image/png", type=3, desc="", data=COVER))


def named_values(song: Song) -> dict[str, tuple[str, ...]]:
    """The names that Vorbis comments, APEv2 and Matroska share."""
    return {
        "TITLE": (song.title,),
        "ARTIST": song.artist,
        "ARTISTS": song.artists,
        "ALBUM": (song.album,),
        "ALBUMARTIST": (song.albumartist,),
        "TRACKNUMBER": (str(song.track[0]),),
        "TRACKTOTAL": (str(song.track[1]),),
        "DISCNUMBER": (str(song.disc[0]),),
        "DISCTOTAL": (str(song.disc[1]),),
        "DATE": (song.date,),
        "GENRE": song.genre,
        "COMPOSER": song.composer,
        "COMMENT": (song.comment,),
        "LYRICS": (song.lyrics,),
        "COMPILATION": (str(int(song.compilation)),),
        "MUSICBRAINZ_TRACKID": song.ids["recording"],
        "MUSICBRAINZ_RELEASETRACKID": song.ids["track"],
        "MUSICBRAINZ_ALBUMID": song.ids["album"],
        "MUSICBRAINZ_RELEASEGROUPID": song.ids["release_group"],
        "MUSICBRAINZ_ARTISTID": song.ids["artist"],
        "MUSICBRAINZ_ALBUMARTISTID": song.ids["albumartist"],
        **{name.upper(): (text,) for name, text in song.gains.items()},
    }


def _picture() -> Picture:
    picture = Picture()
    picture.type, picture.mime, picture.data = 3, "image/png", COVER
    return picture


def _write_vorbis(path: Path, kind: str, song: Song) -> None:
    classes = {"flac": FLAC, "ogg": OggVorbis, "oga": OggFLAC, "spx": OggSpeex, "opus": OggOpus}
    audio: Any = classes[kind](path)
    for name, values in named_values(song).items():
        audio[name.lower()] = list(values)
    if kind == "flac":
        audio.add_picture(_picture())
    else:
        audio["metadata_block_picture"] = [base64.b64encode(_picture().write()).decode()]
    audio.save()


def _write_mp4(path: Path, song: Song) -> None:
    audio: Any = MP4(path)
    audio["\xa9nam"], audio["\xa9ART"], audio["\xa9alb"] = [song.title], list(song.artist), [song.album]
    audio["aART"], audio["trkn"], audio["disk"] = [song.albumartist], [song.track], [song.disc]
    audio["\xa9day"], audio["\xa9gen"], audio["\xa9wrt"] = [song.date], list(song.genre), list(song.composer)
    audio["\xa9cmt"], audio["\xa9lyr"], audio["cpil"] = [song.comment], [song.lyrics], song.compilation
    audio["covr"] = [MP4Cover(COVER, MP4Cover.FORMAT_PNG)]
    freeform = {
        "ARTISTS": song.artists,
        "MusicBrainz Track Id": song.ids["recording"],
        "MusicBrainz Release Track Id": song.ids["track"],
        "MusicBrainz Album Id": song.ids["album"],
        "MusicBrainz Release Group Id": song.ids["release_group"],
        "MusicBrainz Artist Id": song.ids["artist"],
        "MusicBrainz Album Artist Id": song.ids["albumartist"],
        **{name: (text,) for name, text in song.gains.items()},
    }
    for name, values in freeform.items():
        audio[f"----:com.apple.iTunes:{name}"] = [value.encode() for value in values]
    audio.save()


def _write_asf(path: Path, song: Song) -> None:
    audio: Any = ASF(path)
    texts = {
        "Title": (song.title,),
        "Author": song.artist,
        "WM/ARTISTS": song.artists,
        "WM/AlbumTitle": (song.album,),
        "WM/AlbumArtist": (song.albumartist,),
        "WM/TrackNumber": ("{}/{}".format(*song.track),),
        "WM/PartOfSet": ("{}/{}".format(*song.disc),),
        "WM/Year": (song.date,),
        "WM/Genre": song.genre,
        "WM/Composer": song.composer,
        "Description": (song.comment,),
        "WM/Lyrics": (song.lyrics,),
        "WM/IsCompilation": (str(int(song.compilation)),),
        "MusicBrainz/Track Id": song.ids["recording"],
        "MusicBrainz/Release Track Id": song.ids["track"],
        "MusicBrainz/Album Id": song.ids["album"],
        "MusicBrainz/Release Group Id": song.ids["release_group"],
        "MusicBrainz/Artist Id": song.ids["artist"],
        "MusicBrainz/Album Artist Id": song.ids["albumartist"],
        **{name: (text,) for name, text in song.gains.items()},
    }
    for name, values in texts.items():
        audio[name] = [ASFUnicodeAttribute(value) for value in values]
    picture = b"\x03" + struct.pack("<I", len(COVER)) + "image/png\0\0".encode("utf-16-le") + COVER
    audio["WM/Picture"] = [ASFByteArrayAttribute(picture)]
    audio.save()


def _write_apev2(path: Path, song: Song) -> None:
    tag: Any = APEv2()
    renamed = {"TRACKNUMBER": "Track", "DISCNUMBER": "Disc", "DATE": "Year", "ALBUMARTIST": "Album Artist"}
    for name, values in named_values(song).items():
        tag[renamed.get(name, name)] = list(values)
    tag["Cover Art (Front)"] = APEValue(b"cover.png\0" + COVER, 1)
    tag.save(path)


def element(element_id: int, content: bytes) -> bytes:
    """One EBML element with an eight byte length."""
    width = (element_id.bit_length() + 7) // 8
    return element_id.to_bytes(width, "big") + b"\x01" + len(content).to_bytes(7, "big") + content


def _write_matroska(path: Path, song: Song) -> None:
    """Put Tags and Attachments at the end of the segment, where mkvpropedit puts them."""
    simple = b"".join(
        element(0x67C8, element(0x45A3, name.encode()) + element(0x4487, value.encode()))
        for name, values in named_values(song).items()
        for value in values
    )
    tags = element(0x1254C367, element(0x7373, element(0x63C0, b"") + simple))
    attached = element(0x466E, b"cover.png") + element(0x4660, b"image/png") + element(0x465C, COVER)
    attachments = element(0x1941A469, element(0x61A7, attached))
    sound = path.read_bytes()
    start = sound.index(b"\x18\x53\x80\x67") + 4
    assert sound[start] == 0x01
    segment = sound[start + 8 :]
    # The elements before the first cluster, ours among them, need no index.
    clusters = segment.index(b"\x1f\x43\xb6\x75")
    segment = segment[:clusters] + tags + attachments + segment[clusters:]
    path.write_bytes(sound[:start] + b"\x01" + len(segment).to_bytes(7, "big") + segment)
