"""From what a container holds to `AudioTags`: every decision about values that all formats share."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from nomarr.helpers.dto.tags import AudioTags

__all__ = ["FoundTags", "parse_date"]

_MAX_COMMENT_BYTES: Final = 64 << 10
_MAX_NAME_CHARACTERS: Final = 4096
_MAX_VALUES: Final = 500
_MAX_INTEGER: Final = (1 << 63) - 1
_SEPARATOR: Final = "; "

_R128_TO_REPLAYGAIN_DB: Final = 5.0
"""R128 gains aim at -23 LUFS, ReplayGain 2 at -18 LUFS (RFC 7845, section 5.2.1)."""

_NUMBER_OF_TOTAL = re.compile(r"\s*(\d{1,9})(?:\s*(?:/|of)\s*(\d{1,9}))?", re.ASCII)
_DECIMAL = re.compile(r"\s*([-+]?(?:\d{1,9}(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d{1,3})?)", re.ASCII)
_DATE = re.compile(r"(\d{4})(?:[-/.]?(\d{1,2})(?!\d)(?:[-/.](\d{1,2})(?!\d))?|(\d{2})(\d{2})(?!\d))?", re.ASCII)
_YEAR_ANYWHERE = re.compile(r"(?<!\d)([12]\d{3})(?!\d)", re.ASCII)
_ID_SEPARATORS = re.compile(r"[/;,\s]+")
_EARLIEST_YEAR: Final = 1000
_LATEST_YEAR: Final = 2999
_LOUDEST_GAIN_DB: Final = 200.0
_HIGHEST_PEAK: Final = 10_000.0


@dataclass(slots=True)
class FoundTags:
    """What a reader found in one file, under the names of `AudioTags`, still as raw text.

    Besides those names `values` knows `original_date`, `description`, `r128_track_gain` and `r128_album_gain`,
    which are used when the proper field is absent.
    """

    format: str
    values: dict[str, list[str]] = field(default_factory=dict)
    has_cover: bool = False
    has_lyrics: bool = False
    duration_seconds: float | None = None
    bitrate: float | None = None
    sample_rate: float | None = None
    channels: int | None = None
    bit_depth: int | None = None
    audio_bytes: int | None = None
    """Size of the encoded audio: gives the bitrate where the container does not say it."""
    lists_joined_by_slash: bool = False
    """True for ID3v2.3, where a list and a name like AC/DC look alike."""

    def add(self, name: str, *values: str) -> None:
        """Append values to a field; empty ones are left out later."""
        known = self.values.get(name)
        if known is None:
            self.values[name] = list(values)
        elif len(known) < _MAX_VALUES:
            known.extend(values)

    def complete_with(self, other: FoundTags) -> None:
        """Take over the fields that only `other` has: the older or secondary tag of the same file."""
        for name, values in other.values.items():
            self.values.setdefault(name, values)
        self.has_cover = self.has_cover or other.has_cover
        self.has_lyrics = self.has_lyrics or other.has_lyrics

    def to_audio_tags(self) -> AudioTags:
        """The cleaned result: encodable as UTF-8, nothing empty, nothing infinite, nothing beyond 64 bit.

        Comments are cut at 64 KiB, other texts at 4096 characters.
        """
        texts = {name: cleaned for name, raw in self.values.items() if (cleaned := _clean_all(raw, _limit(name)))}
        artists = self._artists(texts)
        track, track_total = _number_and_total(texts, "track")
        disc, disc_total = _number_and_total(texts, "disc")
        day = _first_date(texts)
        duration = _positive(self.duration_seconds)
        return AudioTags(
            title=_joined(texts, "title"),
            artist=_joined(texts, "artist") or _joined(texts, "artists"),
            artists=artists,
            album=_joined(texts, "album"),
            albumartist=_joined(texts, "albumartist") or _joined(texts, "albumartists"),
            albumartists=_all(texts, "albumartists") or _all(texts, "albumartist"),
            track=track,
            track_total=track_total,
            disc=disc,
            disc_total=disc_total,
            year=int(day[:4]) if day else None,
            date=day,
            genre=_joined(texts, "genre"),
            genres=_all(texts, "genre"),
            composer=_joined(texts, "composer"),
            composers=_all(texts, "composer"),
            comment=_cut(_joined(texts, "comment") or _joined(texts, "description")),
            has_lyrics=self.has_lyrics or "lyrics" in texts,
            has_cover=self.has_cover,
            compilation=texts.get("compilation", [""])[0].lower() in ("1", "true", "yes"),
            musicbrainz_track_id=_first(_ids(texts, "musicbrainz_track_id")),
            musicbrainz_recording_id=_first(_ids(texts, "musicbrainz_recording_id")),
            musicbrainz_album_id=_first(_ids(texts, "musicbrainz_album_id")),
            musicbrainz_release_group_id=_first(_ids(texts, "musicbrainz_release_group_id")),
            musicbrainz_artist_ids=_ids(texts, "musicbrainz_artist_ids"),
            musicbrainz_albumartist_ids=_ids(texts, "musicbrainz_albumartist_ids"),
            replaygain_track_gain=_gain(texts, "track"),
            replaygain_track_peak=_decimal(texts, "replaygain_track_peak", 0.0, _HIGHEST_PEAK),
            replaygain_album_gain=_gain(texts, "album"),
            replaygain_album_peak=_decimal(texts, "replaygain_album_peak", 0.0, _HIGHEST_PEAK),
            duration_seconds=duration,
            bitrate=_positive_integer(self.bitrate) or _average_bitrate(self.audio_bytes, duration),
            sample_rate=_positive_integer(self.sample_rate),
            channels=_positive_integer(self.channels),
            bit_depth=_positive_integer(self.bit_depth),
            format=self.format,
        )

    def _artists(self, texts: dict[str, list[str]]) -> tuple[str, ...]:
        names = _all(texts, "artists")
        if not names:
            return _all(texts, "artist")
        if self.lists_joined_by_slash and len(names) == 1:
            # "/" is only a separator if it makes as many names as there are ids: AC/DC stays one.
            parts = tuple(part for part in map(str.strip, names[0].split("/")) if part)
            if 1 < len(parts) == len(_ids(texts, "musicbrainz_artist_ids")):
                return parts
        return names


def parse_date(text: str) -> str | None:
    """`text` as YYYY, YYYY-MM or YYYY-MM-DD: as much of it as makes sense, None without a year from 1000 to 2999."""
    match = _DATE.match(text)
    if match is None:
        match = _YEAR_ANYWHERE.search(text)
        return match[1] if match else None
    year = int(match[1])
    if not _EARLIEST_YEAR <= year <= _LATEST_YEAR:
        return None
    month, day = int(match[2] or match[4] or 0), int(match[3] or match[5] or 0)
    if not 1 <= month <= 12:
        return match[1]
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return f"{match[1]}-{month:02}"


def _limit(name: str) -> int:
    return _MAX_COMMENT_BYTES if name in ("comment", "description") else _MAX_NAME_CHARACTERS


def _clean(text: str, limit: int) -> str:
    if len(text) > limit:
        text = text[:limit]
    if "\0" in text:
        text = text.replace("\0", "")
    if not text.isascii():
        # Lone surrogates have no UTF-8 form; a byte order mark inside a list is no part of the value.
        text = text.encode("utf-8", "ignore").decode("utf-8").replace("\ufeff", "")
    return text.strip()


def _clean_all(raw: list[str], limit: int) -> list[str]:
    """Every value once, in order."""
    if len(raw) == 1:
        cleaned = _clean(raw[0], limit)
        return [cleaned] if cleaned else []
    return list(dict.fromkeys(cleaned for text in raw if (cleaned := _clean(text, limit))))[:_MAX_VALUES]


def _all(texts: dict[str, list[str]], name: str) -> tuple[str, ...]:
    return tuple(texts.get(name, ()))


def _joined(texts: dict[str, list[str]], name: str) -> str | None:
    values = texts.get(name)
    if not values:
        return None
    return values[0] if len(values) == 1 else _SEPARATOR.join(values)


def _cut(text: str | None) -> str | None:
    if text is None or len(text) * 4 <= _MAX_COMMENT_BYTES:
        return text
    return text.encode("utf-8")[:_MAX_COMMENT_BYTES].decode("utf-8", "ignore").strip()


def _ids(texts: dict[str, list[str]], name: str) -> tuple[str, ...]:
    # Ids hold none of the characters that taggers join lists with, so splitting them is always safe.
    values = texts.get(name)
    if not values:
        return ()
    return tuple(dict.fromkeys(part for value in values for part in _ID_SEPARATORS.split(value) if part))


def _first(values: tuple[str, ...]) -> str | None:
    return values[0] if values else None


def _number_and_total(texts: dict[str, list[str]], name: str) -> tuple[int | None, int | None]:
    number, total = _split_number(texts, name)
    separate_total, _ = _split_number(texts, f"{name}_total")
    return number, separate_total or total or None


def _split_number(texts: dict[str, list[str]], name: str) -> tuple[int | None, int | None]:
    match = _NUMBER_OF_TOTAL.match(texts[name][0]) if name in texts else None
    if match is None:
        return None, None
    return int(match[1]), int(match[2]) if match[2] else None


def _first_date(texts: dict[str, list[str]]) -> str | None:
    for name in ("date", "original_date"):
        for text in texts.get(name, ()):
            if day := parse_date(text):
                return day
    return None


def _gain(texts: dict[str, list[str]], scope: str) -> float | None:
    gain = _decimal(texts, f"replaygain_{scope}_gain", -_LOUDEST_GAIN_DB, _LOUDEST_GAIN_DB)
    if gain is not None:
        return gain
    # Q7.8 fixed point (RFC 7845).
    r128 = _decimal(texts, f"r128_{scope}_gain", -32768.0, 32767.0)
    return None if r128 is None else r128 / 256 + _R128_TO_REPLAYGAIN_DB


def _decimal(texts: dict[str, list[str]], name: str, low: float, high: float) -> float | None:
    for number in _decimals(texts.get(name, ())):
        if low <= number <= high:
            return number
    return None


def _decimals(texts: Iterable[str]) -> Iterator[float]:
    for text in texts:
        if match := _DECIMAL.match(text):
            yield float(match[1].replace(",", "."))


def _positive(number: float | None) -> float | None:
    return float(number) if number is not None and math.isfinite(number) and 0 < number <= _MAX_INTEGER else None


def _positive_integer(number: float | None) -> int | None:
    return round(number) if _positive(number) is not None and number is not None and number >= 1 else None


def _average_bitrate(audio_bytes: int | None, duration: float | None) -> int | None:
    return _positive_integer(audio_bytes * 8 / duration) if audio_bytes and duration else None
