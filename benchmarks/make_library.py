# mypy: disable-error-code="no-untyped-call"
# (mutagen says that it is typed, but most of its functions are not.)
"""Make music libraries to measure with: realistic ones of some 20,000 files, tiny ones of up to a million.

The audio is real: a few seconds of sound are encoded once per variant with ffmpeg, then every file gets tags of its
own around the same frames. The same arguments and the same ffmpeg give the same library, byte for byte, except that
playlists name their folder.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from mutagen import id3
from mutagen.flac import FLAC, Picture
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis

MARKER_NAME = ".benchmark-library.json"
GENERATOR_VERSION = 1
AUDIO_SUFFIXES = (".mp3", ".flac", ".m4a", ".ogg", ".opus")

FORMAT_SHARES = {"mp3": 0.45, "flac": 0.35, "m4a": 0.10, "ogg": 0.05, "opus": 0.05}
COVER_SHARE = 1 / 3
FOLDER_IMAGE_SHARE = 0.6
ALBUM_PLAYLIST_SHARE = 0.08
TWO_DISC_SHARE = 0.03
COMPILATION_SHARE = 0.04
ODD_NAME_SHARE = 0.01
ALBUMS_PER_ARTIST = (1, 8)
TRACKS_PER_ALBUM = (8, 21)
FILES_PER_MIX = 700
COVER_BYTES = 92_000
OLDEST_MTIME = 1_420_070_400  # 2015-01-01
NEWEST_MTIME = 1_704_067_200  # 2024-01-01

TINY_FILES_PER_FOLDER = 10
TINY_FOLDERS_PER_ARTIST = 100
MAX_TINY_FILES = 1_000_000
FILES_PER_TASK = 200


class LibraryError(Exception):
    """The library can't be made there, or the folder isn't one of ours."""


# --- What a library is ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrackTags:
    title: str
    artists: tuple[str, ...]
    album: str
    albumartist: str
    track: int
    tracks: int
    disc: int
    discs: int
    date: str
    genres: tuple[str, ...]
    composer: str = ""
    comment: str = ""
    musicbrainz_id: str = ""
    replaygain: str = ""
    compilation: bool = False


@dataclass(frozen=True, slots=True)
class Track:
    """One audio file; `path` is relative and may hold surrogate escapes, `cover` is the number of a picture."""

    path: str
    audio_format: str
    variant: int
    tags: TrackTags
    cover: int | None
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Library:
    """A library that is still a plan: everything but the bytes."""

    tracks: list[Track]
    folder_images: dict[str, int]
    playlists: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class LibrarySummary:
    """What was made; stored in the marker file, which also says that the folder may be changed by benchmarks."""

    kind: str
    audio_files: int
    seed: int
    version: int
    folders: int
    files: int
    bytes: int
    newline_files: int
    seconds: float
    formats: dict[str, int] = field(default_factory=dict)


# --- Names ------------------------------------------------------------------------------------------------------------


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ADJECTIVES = _words("Blue Silent Electric Broken Golden Hollow Northern Velvet Wild Distant Burning Little Paper")
_NOUNS = _words("River Engine Garden Mirror Satellite Harbour Winter Machine Horses Lantern Ocean Signal Orchard")
_PLACES = _words("Berlin Kyoto Lisbon Montréal Reykjavík Kraków Nowhere Memphis Málaga Tromsø Odessa Bogotá Valparaíso")
_FIRST = _words("Ada Björn Chloé Dmitri Elif Femi Grace Håkan Inês José Kenji Lucía Miles Nina Otis Petra Søren Thelma")
_LAST = _words("Abe Baker Castillo Dvořák Eriksen Fontaine García Holloway Ito Jansen Kovač Lindqvist Moreau Okafor")
_FOREIGN = ("東京事変", "Кино", "Σωκράτης", "이랑", "محمد", "Đặng Thái Sơn", "שלמה", "ไทย")
_GENRES = ("Rock", "Jazz", "Electronic", "Classical", "Folk", "Hip-Hop", "Metal", "Ambient", "Soul", "Soundtrack")
_ENDINGS = ("", "", "", "", " (Live)", " (Remaster)", " [Demo]", ", Pt. 2", " \u2013 Single Edit", " (feat. Nina Ito)")

_ODD_STEMS = (
    unicodedata.normalize("NFC", "Déjà Vu à l'Été"),
    unicodedata.normalize("NFD", "Déjà Vu à l'Été"),
    "🎸 Solo 🔥👩‍🎤",
    "Line\nBreak",
    os.fsdecode(b"Caf\xe9 in Latin-1"),
    os.fsdecode(b"\xff\xfe broken bytes \x80"),
    " leading blank",
    "trailing blank ",
    "No. #1 Hit",
    "100% Proof %41%2F",
    "Back\\slash",
    "What? * \"Quoted\" <a|b> 'c' $HOME; `id`",
    "--dash --first",
    "tab\there",
    "LONG",
)


def _artist_name(rng: random.Random) -> str:
    shape = rng.random()
    if shape < 0.06:
        return f"{rng.choice(_FOREIGN)} {rng.choice(_NOUNS)}"
    if shape < 0.4:
        return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
    if shape < 0.7:
        return f"The {rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}s"
    return f"{rng.choice(_PLACES)} {rng.choice(_NOUNS)} {rng.choice(('Trio', 'Orchestra', 'Quartet', 'Project'))}"


def _title(rng: random.Random) -> str:
    words = rng.choice(
        (
            f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}",
            f"{rng.choice(_NOUNS)} of {rng.choice(_PLACES)}",
            f"{rng.choice(_FIRST)}\u2019s {rng.choice(_NOUNS)}",
            f"Goodbye, {rng.choice(_ADJECTIVES)} {rng.choice(_PLACES)}",
        )
    )
    return words + rng.choice(_ENDINGS)


def _unused(name: Callable[[], str], used: set[str]) -> str:
    """The first answer of `name` that is not used yet, numbered when there are too few of them."""
    candidate = name()
    unique, number = candidate, 1
    while unique in used:
        number += 1
        unique = f"{candidate} {number}"
    used.add(unique)
    return unique


def _odd_name(prefix: str, kind: int, suffix: str) -> str:
    """One of the odd names; the long one has exactly 255 bytes."""
    stem = _ODD_STEMS[kind % len(_ODD_STEMS)]
    if stem == "LONG":
        room = 255 - len(os.fsencode(prefix + suffix))
        return prefix + "ü" * (room // 2) + "x" * (room % 2) + suffix
    # A blank or a dash in front is only odd when nothing stands before it.
    if stem[0] in " -":
        return f"{stem} {prefix.strip()}{suffix}"
    return prefix + stem + suffix


def _is_plain(path: str) -> bool:
    """Whether a line of a UTF-8 playlist can name it."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return not set(path) & set("\n\r") and path == path.strip()


# --- The plan ---------------------------------------------------------------------------------------------------------


class _Shares:
    """Hands out kinds so that their counts stay as near to the wanted shares as whole albums allow."""

    def __init__(self, shares: dict[str, float]) -> None:
        self._shares = shares
        self._given: Counter[str] = Counter()

    def take(self, count: int) -> str:
        total = self._given.total() + count
        kind = max(self._shares, key=lambda each: self._shares[each] * total - self._given[each])
        self._given[kind] += count
        return kind


class _Planner:
    def __init__(self, files: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.left = files
        self.library = Library([], {}, {})
        self._formats = _Shares(FORMAT_SHARES)
        self._covers = _Shares({"cover": COVER_SHARE, "": 1 - COVER_SHARE})
        self._artists: set[str] = set()
        self._odd_names = 0

    def plan(self) -> Library:
        while self.left:
            self._plan_artist()
        self._plan_mixes()
        return self.library

    def _plan_artist(self) -> None:
        artist = _unused(lambda: _artist_name(self.rng), self._artists)
        albums: set[str] = set()
        for _ in range(self.rng.randint(*ALBUMS_PER_ARTIST)):
            if not self.left:
                return
            self._plan_album(artist, _unused(lambda: _title(self.rng), albums))

    def _plan_album(self, artist: str, album: str) -> None:
        rng = self.rng
        count = min(rng.randint(*TRACKS_PER_ALBUM), self.left)
        self.left -= count
        year = rng.randint(1959, 2024)
        folder = f"{artist}/{self._folder_name(album, year)}"
        discs = 2 if count > 4 and rng.random() < TWO_DISC_SHARE else 1
        audio_format = self._formats.take(count)
        cover = rng.randrange(COVERS) if self._covers.take(count) else None
        common = {
            "album": album,
            "albumartist": artist,
            "discs": discs,
            "date": f"{year}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}" if rng.random() < 0.4 else str(year),
            "genres": tuple(rng.sample(_GENRES, 2 if rng.random() < 0.15 else 1)),
            "compilation": rng.random() < COMPILATION_SHARE,
        }
        added_ns = rng.randint(OLDEST_MTIME, NEWEST_MTIME) * 1_000_000_000
        paths = []
        for index in range(count):
            tags = self._tags(common, index, count, discs)
            name = self._file_name(tags, "." + audio_format)
            path = f"{folder}/CD{tags.disc}/{name}" if discs > 1 else f"{folder}/{name}"
            mtime_ns = added_ns + index * 1_700_000_000 + rng.randrange(1_000_000_000)
            self.library.tracks.append(Track(path, audio_format, rng.randrange(1 << 16), tags, cover, mtime_ns))
            paths.append(path)
        self._plan_companions(folder, paths)

    def _tags(self, common: dict[str, Any], index: int, count: int, discs: int) -> TrackTags:
        rng = self.rng
        on_first = (count + 1) // discs
        disc, position = divmod(index, on_first) if discs > 1 else (0, index)
        artists = [_artist_name(rng) if common["compilation"] else common["albumartist"]]
        if rng.random() < 0.08:
            artists.append(_artist_name(rng))
        identified = rng.random() < 0.6
        return TrackTags(
            title=_title(rng),
            artists=tuple(artists),
            track=position + 1,
            tracks=min(on_first, count - disc * on_first),
            disc=disc + 1,
            composer=f"{rng.choice(_FIRST)} {rng.choice(_LAST)}" if rng.random() < 0.3 else "",
            comment="Ripped with love " * rng.randint(1, 12) if rng.random() < 0.3 else "",
            musicbrainz_id=str(uuid.UUID(int=rng.getrandbits(128), version=4)) if identified else "",
            replaygain=f"{rng.uniform(-12, 2):.2f} dB" if rng.random() < 0.5 else "",
            **common,
        )

    def _folder_name(self, album: str, year: int) -> str:
        if self.rng.random() < ODD_NAME_SHARE:
            return self._next_odd_name(f"{year} ", "")
        return (f"({year}) {album}" if self.rng.random() < 0.5 else album).replace("/", "_")

    def _file_name(self, tags: TrackTags, suffix: str) -> str:
        prefix = f"{tags.track:02} - "
        if self.rng.random() < ODD_NAME_SHARE:
            return self._next_odd_name(prefix, suffix)
        return f"{prefix}{tags.title}{suffix}".replace("/", "_")

    def _next_odd_name(self, prefix: str, suffix: str) -> str:
        self._odd_names += 1
        return _odd_name(prefix, self._odd_names - 1, suffix)

    def _plan_companions(self, folder: str, paths: list[str]) -> None:
        if self.rng.random() < FOLDER_IMAGE_SHARE:
            self.library.folder_images[f"{folder}/cover.jpg"] = self.rng.randrange(COVERS)
        if self.rng.random() < ALBUM_PLAYLIST_SHARE:
            suffix = self.rng.choice((".m3u", ".m3u8", ".pls"))
            entries = [path.removeprefix(folder + "/") for path in paths if _is_plain(path)]
            self.library.playlists[f"{folder}/00 - all{suffix}"] = entries

    def _plan_mixes(self) -> None:
        plain = [track.path for track in self.library.tracks if _is_plain(track.path)]
        for number in range(len(self.library.tracks) // FILES_PER_MIX):
            entries = ["../" + path for path in self.rng.sample(plain, min(30, len(plain)))]
            self.library.playlists[f"Playlists/Mix {number + 1:02}.m3u8"] = [*entries, "../Gone/01 - Long ago.mp3"]


def plan_library(files: int, seed: int) -> Library:
    """Plan a realistic library of that many audio files."""
    return _Planner(files, seed).plan()


# --- The sound --------------------------------------------------------------------------------------------------------

_FFMPEG_OPTIONS: dict[str, tuple[tuple[float, str], ...]] = {
    # Seconds and encoder options. VBR with a Xing header, CBR with an Info header, and CBR without either.
    "mp3": (
        (2.4, "-c:a libmp3lame -q:a 2"),
        (2.0, "-c:a libmp3lame -q:a 0"),
        (3.0, "-c:a libmp3lame -b:a 128k"),
        (2.2, "-c:a libmp3lame -b:a 192k"),
        (1.5, "-c:a libmp3lame -b:a 320k"),
        (2.6, "-c:a libmp3lame -b:a 160k -write_xing 0"),
    ),
    "flac": (
        (1.2, "-c:a flac -sample_fmt s16"),
        (1.0, "-c:a flac -sample_fmt s16 -compression_level 8"),
        (1.1, "-c:a flac -sample_fmt s16 -ar 48000"),
        (0.4, "-c:a flac -sample_fmt s32 -bits_per_raw_sample 24 -ar 96000"),
    ),
    "m4a": (
        (2.4, "-c:a aac -b:a 192k -movflags +faststart"),
        (2.8, "-c:a aac -b:a 128k"),
        (0.8, "-c:a alac -sample_fmt s16p -movflags +faststart"),
    ),
    "ogg": ((2.6, "-c:a libvorbis -q:a 5"), (2.0, "-c:a libvorbis -q:a 8")),
    "opus": ((3.2, "-c:a libopus -b:a 128k"), (3.8, "-c:a libopus -b:a 96k")),
}
_CONTAINERS = {"mp3": "mp3", "flac": "flac", "m4a": "ipod", "ogg": "ogg", "opus": "opus"}
_COVER_OPTIONS = _words("-frames:v 1 -q:v 6 -pix_fmt yuvj420p -fflags +bitexact -flags:v +bitexact")
COVERS = 8


@dataclass(frozen=True, slots=True)
class Sounds:
    """Encoded audio by format, and pictures, that all files of a library share."""

    audio: dict[str, list[bytes]]
    covers: list[bytes]


def encode_sounds() -> Sounds:
    """Encode every variant once. Needs ffmpeg with lame, vorbis and opus."""
    if shutil.which("ffmpeg") is None:
        raise LibraryError("ffmpeg is needed to make audio; install it first.")
    with tempfile.TemporaryDirectory(prefix="sounds-") as folder:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            audio = {
                audio_format: [
                    pool.submit(_encode, Path(folder) / f"{number}.{audio_format}", seconds, options, number)
                    for number, (seconds, options) in enumerate(variants)
                ]
                for audio_format, variants in _FFMPEG_OPTIONS.items()
            }
            covers = [pool.submit(_draw_cover, Path(folder) / f"{number}.jpg", number) for number in range(COVERS)]
        return Sounds(
            audio={
                audio_format: [encoded.result() for encoded in variants] for audio_format, variants in audio.items()
            },
            covers=[drawn.result() for drawn in covers],
        )


def _encode(path: Path, seconds: float, options: str, number: int) -> bytes:
    """A chord that decays twice a second over quiet noise, a little different on the left and on the right."""
    pitch = 110 * (1 + number / 4)
    decay = "exp(-3*mod(t,0.5))"
    chord = "+".join(f"sin({pitch * step:.2f}*2*PI*t)" for step in (1, 1.25, 1.5, 2, 4.01))
    noise = "0.002*(random(0)-0.5)"
    left = f"0.15*{decay}*({chord})+{noise}"
    right = f"0.12*{decay}*({chord})+0.05*sin({pitch * 3:.2f}*2*PI*t)+{noise}"
    _ffmpeg(
        f"-f lavfi -i aevalsrc=exprs='{left}|{right}':s=48000:d={seconds}".split(),
        (f"{options} -ac 2" if "-ar" in options or path.suffix == ".opus" else f"{options} -ac 2 -ar 44100").split(),
        f"-map_metadata -1 -fflags +bitexact -flags:a +bitexact -f {_CONTAINERS[path.suffix[1:]]}".split(),
        ["-id3v2_version", "0"] if path.suffix == ".mp3" else [],
        [str(path)],
    )
    return path.read_bytes()


def _draw_cover(path: Path, number: int) -> bytes:
    """A picture of COVER_BYTES bytes; what the JPEG lacks is filled with comments."""
    looks = f"hue=h={number * 45},noise=alls=12:all_seed={number + 1}"
    source = f"-f lavfi -i testsrc2=s=600x600 -vf {looks}".split()
    _ffmpeg(source, _COVER_OPTIONS, [str(path)])
    jpeg = path.read_bytes()
    return jpeg[:2] + b"".join(_jpeg_comments(COVER_BYTES - len(jpeg))) + jpeg[2:]


def _jpeg_comments(size: int) -> Iterator[bytes]:
    while size >= 4:
        length = min(size, 60_000) - 2
        yield b"\xff\xfe" + length.to_bytes(2, "big") + b"\0" * (length - 2)
        size -= length + 2


def _ffmpeg(*arguments: Iterable[str]) -> None:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *(each for group in arguments for each in group)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LibraryError(f"ffmpeg failed: {done.stderr.strip()}")


# --- The tags ---------------------------------------------------------------------------------------------------------


def _id3_frames(tags: TrackTags, cover: bytes | None) -> Iterator[id3.Frame]:
    latin = tags.title.isascii() and tags.album.isascii() and tags.albumartist.isascii()
    encoding = id3.Encoding.LATIN1 if latin and all(map(str.isascii, tags.artists)) else id3.Encoding.UTF16
    yield id3.TIT2(encoding, [tags.title])
    yield id3.TPE1(encoding, list(tags.artists))
    yield id3.TALB(encoding, [tags.album])
    yield id3.TPE2(encoding, [tags.albumartist])
    yield id3.TRCK(0, [f"{tags.track}/{tags.tracks}"])
    yield id3.TPOS(0, [f"{tags.disc}/{tags.discs}"])
    yield id3.TDRC(0, [tags.date])
    yield id3.TCON(0, list(tags.genres))
    if tags.composer:
        yield id3.TCOM(id3.Encoding.UTF16, [tags.composer])
    if tags.comment:
        yield id3.COMM(0, "eng", "", [tags.comment])
    if tags.musicbrainz_id:
        yield id3.UFID("http://musicbrainz.org", tags.musicbrainz_id.encode())
    if tags.replaygain:
        yield id3.TXXX(0, "replaygain_track_gain", [tags.replaygain])
    if tags.compilation:
        yield id3.TCMP(0, ["1"])
    if cover is not None:
        yield id3.APIC(0, "image/jpeg", id3.PictureType.COVER_FRONT, "", cover)


def _tag_mp3(audio: bytes, track: Track, cover: bytes | None) -> bytes:
    """ID3v2.3 with ID3v1 behind, ID3v2.3 alone, or ID3v2.4: what is found in the wild."""
    file = BytesIO(audio)
    frames = id3.ID3()
    for frame in _id3_frames(track.tags, cover):
        frames.add(frame)
    version = 4 if track.variant % 3 == 0 else 3
    if version == 3:
        frames.update_to_v23()
    frames.save(file, v1=2 if track.variant % 3 == 1 else 0, v2_version=version)
    return file.getvalue()


def _vorbis_comments(tags: TrackTags) -> dict[str, list[str]]:
    comments = {
        "title": [tags.title],
        "artist": list(tags.artists),
        "album": [tags.album],
        "albumartist": [tags.albumartist],
        "tracknumber": [str(tags.track)],
        "tracktotal": [str(tags.tracks)],
        "discnumber": [str(tags.disc)],
        "disctotal": [str(tags.discs)],
        "date": [tags.date],
        "genre": list(tags.genres),
        "composer": [tags.composer],
        "comment": [tags.comment],
        "musicbrainz_trackid": [tags.musicbrainz_id],
        "replaygain_track_gain": [tags.replaygain],
        "compilation": ["1" if tags.compilation else ""],
    }
    return {key: values for key, values in comments.items() if values != [""]}


def _picture(cover: bytes) -> Picture:
    picture = Picture()
    picture.data, picture.type, picture.mime = cover, id3.PictureType.COVER_FRONT, "image/jpeg"
    picture.width = picture.height = 600
    picture.depth = 24
    return picture


def _tag_flac(audio: bytes, track: Track, cover: bytes | None) -> bytes:
    file = BytesIO(audio)
    flac = FLAC(file)
    flac.update(_vorbis_comments(track.tags))
    if cover is not None:
        flac.add_picture(_picture(cover))
    file.seek(0)
    flac.save(file)
    return file.getvalue()


def _tag_ogg(kind: type[OggVorbis] | type[OggOpus], audio: bytes, track: Track, cover: bytes | None) -> bytes:
    file = BytesIO(audio)
    ogg = kind(file)
    ogg.update(_vorbis_comments(track.tags))
    if cover is not None:
        ogg["metadata_block_picture"] = [base64.b64encode(_picture(cover).write()).decode("ascii")]
    file.seek(0)
    ogg.save(file)
    return file.getvalue()


def _tag_vorbis(audio: bytes, track: Track, cover: bytes | None) -> bytes:
    return _tag_ogg(OggVorbis, audio, track, cover)


def _tag_opus(audio: bytes, track: Track, cover: bytes | None) -> bytes:
    return _tag_ogg(OggOpus, audio, track, cover)


def _tag_m4a(audio: bytes, track: Track, cover: bytes | None) -> bytes:
    tags, file = track.tags, BytesIO(audio)
    mp4 = MP4(file)
    mp4["\xa9nam"] = [tags.title]
    mp4["\xa9ART"] = list(tags.artists)
    mp4["\xa9alb"] = [tags.album]
    mp4["aART"] = [tags.albumartist]
    mp4["trkn"] = [(tags.track, tags.tracks)]
    mp4["disk"] = [(tags.disc, tags.discs)]
    mp4["\xa9day"] = [tags.date]
    mp4["\xa9gen"] = list(tags.genres)
    mp4["cpil"] = tags.compilation
    for key, text in (("\xa9wrt", tags.composer), ("\xa9cmt", tags.comment)):
        if text:
            mp4[key] = [text]
    for key, text in (("MusicBrainz Track Id", tags.musicbrainz_id), ("replaygain_track_gain", tags.replaygain)):
        if text:
            mp4[f"----:com.apple.iTunes:{key}"] = [MP4FreeForm(text.encode())]
    if cover is not None:
        mp4["covr"] = [MP4Cover(cover, imageformat=MP4Cover.FORMAT_JPEG)]
    file.seek(0)
    mp4.save(file)
    return file.getvalue()


_TAGGERS: dict[str, Callable[[bytes, Track, bytes | None], bytes]] = {
    "mp3": _tag_mp3,
    "flac": _tag_flac,
    "m4a": _tag_m4a,
    "ogg": _tag_vorbis,
    "opus": _tag_opus,
}


def audio_file(track: Track, sounds: Sounds) -> bytes:
    """The whole file: frames, tags and, if it has one, the cover."""
    variants = sounds.audio[track.audio_format]
    cover = None if track.cover is None else sounds.covers[track.cover]
    return _TAGGERS[track.audio_format](variants[track.variant % len(variants)], track, cover)


# --- Writing ----------------------------------------------------------------------------------------------------------


def make_library(dest: Path, files: int, seed: int = 1) -> LibrarySummary:
    """Make a realistic library in a folder that is empty or not there yet."""
    started = time.perf_counter()
    _claim(dest)
    sounds = encode_sounds()
    library = plan_library(files, seed)
    folders = _make_folders(dest, [track.path for track in library.tracks] + list(library.playlists))
    written = _write_tracks(dest, library.tracks, sounds)
    for path, number in library.folder_images.items():
        (dest / path).write_bytes(sounds.covers[number])
        written += len(sounds.covers[number])
    for path, entries in library.playlists.items():
        written += (dest / path).write_bytes(_playlist(path, entries, dest))
    summary = LibrarySummary(
        kind="realistic",
        audio_files=files,
        seed=seed,
        version=GENERATOR_VERSION,
        folders=folders,
        files=files + len(library.folder_images) + len(library.playlists),
        bytes=written,
        newline_files=sum("\n" in track.path for track in library.tracks),
        seconds=round(time.perf_counter() - started, 1),
        formats=dict(Counter(track.audio_format for track in library.tracks)),
    )
    return _mark(dest, summary)


def _claim(dest: Path) -> None:
    if dest.exists() and any(dest.iterdir()):
        raise LibraryError(f"{dest} is not empty; name a new folder.")
    dest.mkdir(parents=True, exist_ok=True)


def _mark(dest: Path, summary: LibrarySummary) -> LibrarySummary:
    (dest / MARKER_NAME).write_text(json.dumps(asdict(summary), indent=2) + "\n")
    return summary


def read_marker(folder: Path) -> LibrarySummary:
    """What was made here; LibraryError elsewhere, so that nobody's music changes."""
    try:
        return LibrarySummary(**json.loads((folder / MARKER_NAME).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise LibraryError(f"{folder} is not a finished library of make_library.py: {error}") from error


def _make_folders(dest: Path, paths: Iterable[str]) -> int:
    folders = sorted({os.path.dirname(path) for path in paths})
    for folder in folders:
        os.makedirs(os.path.join(dest, folder), exist_ok=True)
    return len({parent for folder in folders for parent in _parents(folder)})


def _parents(folder: str) -> Iterator[str]:
    while folder:
        yield folder
        folder = os.path.dirname(folder)


_sounds: Sounds | None = None


def _keep_sounds(sounds: Sounds) -> None:
    # Sent once per worker process instead of once per task.
    global _sounds
    _sounds = sounds


def _write_tracks(dest: Path, tracks: list[Track], sounds: Sounds) -> int:
    root = str(dest)
    with ProcessPoolExecutor(initializer=_keep_sounds, initargs=(sounds,)) as pool:
        tasks = [pool.submit(_write_some_tracks, root, some) for some in _batched(tracks, FILES_PER_TASK)]
        return sum(task.result() for task in tasks)


def _write_some_tracks(root: str, tracks: Sequence[Track]) -> int:
    assert _sounds is not None
    written = 0
    for track in tracks:
        content = audio_file(track, _sounds)
        path = os.path.join(root, track.path)
        with open(path, "wb") as file:
            file.write(content)
        os.utime(path, ns=(track.mtime_ns, track.mtime_ns))
        written += len(content)
    return written


def _playlist(path: str, entries: list[str], dest: Path) -> bytes:
    """Relative entries; the first one is absolute in every third playlist."""
    lines = list(entries)
    if lines and len(path) % 3 == 0 and _is_plain(str(dest)):
        lines[0] = os.path.normpath(os.path.join(dest.absolute(), os.path.dirname(path), lines[0]))
    if path.endswith(".pls"):
        body = [f"File{number}={line}" for number, line in enumerate(lines, 1)]
        return "\n".join(["[playlist]", *body, f"NumberOfEntries={len(lines)}", "Version=2", ""]).encode()
    return "\n".join(["#EXTM3U", *lines, ""]).encode()


def _batched(tracks: Iterable[Track], size: int) -> Iterator[list[Track]]:
    """Lists of `size` tracks; the last one may be shorter."""
    iterator = iter(tracks)
    while batch := list(islice(iterator, size)):
        yield batch


# --- Tiny libraries ---------------------------------------------------------------------------------------------------

# MPEG-1 layer III, 32 kbit/s, 48 kHz, mono, without CRC. Side information of zeros is silence. Readers want a few
# frames before they believe that it is an mp3.
_SILENT_FRAME = b"\xff\xfb\x14\xc0" + b"\0" * 92
_TINY_AUDIO = _SILENT_FRAME * 4


def tiny_path(number: int) -> str:
    """Where file `number` of a tiny library is; the same in a library of every size."""
    folder = number // TINY_FILES_PER_FOLDER
    artist, album = divmod(folder, TINY_FOLDERS_PER_ARTIST)
    return f"Artist {artist:04}/Album {album:02}/{number % TINY_FILES_PER_FOLDER:02} Song {number}.mp3"


def tiny_file(number: int) -> bytes:
    """A valid mp3 of some 500 bytes: ID3v2.4 and four frames of silence."""
    artist = number // TINY_FILES_PER_FOLDER // TINY_FOLDERS_PER_ARTIST
    frames = b"".join(
        _text_frame(name, text)
        for name, text in (
            (b"TIT2", f"Song {number}"),
            (b"TPE1", f"Artist {artist:04}"),
            (b"TALB", f"Album {number // TINY_FILES_PER_FOLDER}"),
            (b"TRCK", str(number % TINY_FILES_PER_FOLDER + 1)),
        )
    )
    return b"ID3\x04\0\0" + _syncsafe(len(frames)) + frames + _TINY_AUDIO


def _text_frame(name: bytes, text: str) -> bytes:
    content = b"\x03" + text.encode()
    return name + _syncsafe(len(content)) + b"\0\0" + content


def _syncsafe(size: int) -> bytes:
    return bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))


def make_tiny_library(dest: Path, files: int) -> LibrarySummary:
    """Make a library of many files that are as small as a valid mp3 can be, ten in a folder."""
    if not 0 < files <= MAX_TINY_FILES:
        raise LibraryError(f"A tiny library has between 1 and {MAX_TINY_FILES} files, not {files}.")
    started = time.perf_counter()
    _claim(dest)
    per_task = TINY_FILES_PER_FOLDER * TINY_FOLDERS_PER_ARTIST
    with ProcessPoolExecutor() as pool:
        starts = range(0, files, per_task)
        tasks = [pool.submit(_write_tiny_files, str(dest), start, min(start + per_task, files)) for start in starts]
        written = sum(task.result() for task in tasks)
    albums = -(-files // TINY_FILES_PER_FOLDER)
    summary = LibrarySummary(
        kind="tiny",
        audio_files=files,
        seed=0,
        version=GENERATOR_VERSION,
        folders=albums + -(-albums // TINY_FOLDERS_PER_ARTIST),
        files=files,
        bytes=written,
        newline_files=0,
        seconds=round(time.perf_counter() - started, 1),
        formats={"mp3": files},
    )
    return _mark(dest, summary)


def _write_tiny_files(root: str, start: int, stop: int) -> int:
    written = 0
    for number in range(start, stop):
        path = os.path.join(root, tiny_path(number))
        if number % TINY_FILES_PER_FOLDER == 0:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        content = tiny_file(number)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(descriptor, content)
        mtime_ns = (OLDEST_MTIME + number) * 1_000_000_000
        os.utime(descriptor, ns=(mtime_ns, mtime_ns))
        os.close(descriptor)
        written += len(content)
    return written


# --- Command line -----------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make a music library to measure with.")
    parser.add_argument("dest", type=Path, metavar="DEST", help="folder to make; must be empty or not there yet")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--files", type=int, default=20_000, help="audio files of a realistic library (default 20000)")
    size.add_argument("--tiny", type=int, metavar="N", help="a library of N mp3 files of some 500 bytes instead")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another library (default 1)")
    options = parser.parse_args(arguments)
    try:
        if options.tiny is not None:
            summary = make_tiny_library(options.dest, options.tiny)
        else:
            summary = make_library(options.dest, options.files, options.seed)
    except LibraryError as error:
        print(error, file=sys.stderr)
        return 2
    print(
        f"{summary.audio_files} audio files of {summary.files} files in {summary.folders} folders,"
        f" {summary.bytes / 1e6:.0f} MB, {summary.seconds} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
