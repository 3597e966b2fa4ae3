"""Which lines of a playlist name files, and where those files are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nomarr.components.library.read_playlist_comp import PlaylistError, playlist_texts, read_playlist, resolve
from nomarr.helpers.dto.batches import PlaylistLine
from nomarr.helpers.dto.library import Library

MUSIC = Library("m", "Music", "/srv/music")
INNER = Library("i", "Inner", "/srv/music/inner")


def test_comments_and_blank_lines_are_no_entries() -> None:
    assert playlist_texts(b"#EXTM3U\n#EXTINF:1,x\na.mp3\n\n  \nb.mp3", is_pls=False) == ["a.mp3", "b.mp3"]


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter() -> None:
    assert playlist_texts(b"\xef\xbb\xbfa.mp3\r\nb.mp3\r\n", is_pls=False) == ["a.mp3", "b.mp3"]


def test_names_that_are_not_utf8_keep_their_bytes() -> None:
    assert [os.fsencode(text) for text in playlist_texts(b"\xe9.mp3", is_pls=False)] == [b"\xe9.mp3"]


def test_blanks_around_a_name_belong_to_it() -> None:
    assert playlist_texts(b" a.mp3 \n", is_pls=False) == [" a.mp3 "]


def test_pls_entries() -> None:
    text = b"[playlist]\nFile1=a.mp3\nTitle1=A\nfile2 = b.mp3\nNumberOfEntries=2\n"
    assert playlist_texts(text, is_pls=True) == ["a.mp3", "b.mp3"]


@pytest.mark.parametrize(
    ("text", "library_id", "path"),
    [
        ("a.mp3", "m", "Lists/a.mp3"),
        ("../Rock/a.mp3", "m", "Rock/a.mp3"),
        ("./a.mp3", "m", "Lists/a.mp3"),
        ("/srv/music/Rock/a.mp3", "m", "Rock/a.mp3"),
        ("/srv/music/inner/a.mp3", "i", "a.mp3"),
        ("Rock\\Live\\a.mp3", "m", "Lists/Rock/Live/a.mp3"),
        ("file:///srv/music/a%20b.mp3", "m", "a b.mp3"),
        ("../../outside.mp3", None, None),
        ("/srv/musical/a.mp3", None, None),
        ("http://radio.example/stream", None, None),
        ("http://[broken", None, None),
    ],
)
def test_an_entry_leads_to_a_file_of_a_library_or_stays_text(
    text: str, library_id: str | None, path: str | None
) -> None:
    assert resolve(text, "Lists", MUSIC, [MUSIC, INNER]) == PlaylistLine(text, library_id, path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.m3u")
    with pytest.raises(PlaylistError, match="named pipe"):
        read_playlist(str(tmp_path / "a.m3u"))


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    with open(tmp_path / "a.m3u", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(PlaylistError, match="larger than 16 MB"):
        read_playlist(str(tmp_path / "a.m3u"))


def test_a_file_that_went_away_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlaylistError, match="No such file"):
        read_playlist(str(tmp_path / "a.m3u"))
