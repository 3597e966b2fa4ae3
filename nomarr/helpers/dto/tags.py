"""What one audio file says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from nomarr.helpers.dto.quick_pickle import QuickPickle

__all__ = ["AudioTags", "TagReadResult"]


@dataclass(frozen=True, slots=True)
class AudioTags(QuickPickle):
    """Tags and technical properties of one file; None or empty where the file says nothing.

    Many values stay many: the plural fields hold every value in the order of the file, and the
    singular ones (`artist`, `albumartist`, `genre`, `composer`) are what a person reads, joined by "; ".
    """

    title: str | None = None
    artist: str | None = None
    artists: tuple[str, ...] = ()
    album: str | None = None
    albumartist: str | None = None
    albumartists: tuple[str, ...] = ()
    track: int | None = None
    track_total: int | None = None
    disc: int | None = None
    disc_total: int | None = None
    year: int | None = None
    date: str | None = None
    """As exact as the file says: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`."""
    genre: str | None = None
    genres: tuple[str, ...] = ()
    composer: str | None = None
    composers: tuple[str, ...] = ()
    comment: str | None = None
    has_lyrics: bool = False
    has_cover: bool = False
    """True if a picture is embedded in the file."""
    compilation: bool = False
    musicbrainz_track_id: str | None = None
    """The release track; `musicbrainz_recording_id` is the recording."""
    musicbrainz_recording_id: str | None = None
    musicbrainz_album_id: str | None = None
    musicbrainz_release_group_id: str | None = None
    musicbrainz_artist_ids: tuple[str, ...] = ()
    musicbrainz_albumartist_ids: tuple[str, ...] = ()
    replaygain_track_gain: float | None = None
    """Decibel."""
    replaygain_track_peak: float | None = None
    replaygain_album_gain: float | None = None
    replaygain_album_peak: float | None = None
    duration_seconds: float | None = None
    bitrate: int | None = None
    """Bits per second."""
    sample_rate: int | None = None
    """Hertz."""
    channels: int | None = None
    bit_depth: int | None = None
    format: str | None = None
    """What the file really is, whatever its name says: a value of `AUDIO_FORMATS`."""


@dataclass(frozen=True, slots=True)
class TagReadResult(QuickPickle):
    """The outcome for one file: tags, or the reason why there are none, as a sentence for people."""

    tags: AudioTags | None
    error: str | None = None
