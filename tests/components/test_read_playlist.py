"""What the lines of a playlist mean."""

from __future__ import annotations

import pytest

from nomarr.components.library.read_playlist_comp import playlist_texts, resolve
from nomarr.helpers.dto.library import Library

MUSIC = Library("1", "Music", "/music")
DEEP = Library("2", "Deep", "/music/deep")
OTHER = Library("3", "Other", "/other")


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"", []),
        (b"#EXTM3U\n#EXTINF:1,A\na.mp3\n\n   \nb.mp3", ["a.mp3", "b.mp3"]),
        (b"\xef\xbb\xbfa.mp3\r\nb.mp3\r\n", ["a.mp3", "b.mp3"]),
        (b"\xe9t\xe9.mp3\n", ["\udce9t\udce9.mp3"]),
        (b"with space .mp3\n", ["with space .mp3"]),
        ("line\u2028separator.mp3".encode(), ["line\u2028separator.mp3"]),
    ],
)
def test_the_lines_of_an_m3u(content: bytes, texts: list[str]) -> None:
    assert playlist_texts(content, is_pls=False) == texts


def test_the_lines_of_a_pls() -> None:
    content = b"[playlist]\r\nFile1=a.mp3\r\nTitle1=File2=no\r\nfile2 = b.mp3\r\nLength1=-1\r\nNumberOfEntries=2\r\n"
    assert playlist_texts(content, is_pls=True) == ["a.mp3", "b.mp3"]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("a.mp3", ("1", "Lists/a.mp3")),
        ("../Rock/a.mp3", ("1", "Rock/a.mp3")),
        ("./a.mp3", ("1", "Lists/a.mp3")),
        ("..\\Rock\\a.mp3", ("1", "Rock/a.mp3")),
        ("/music/Rock/a.mp3", ("1", "Rock/a.mp3")),
        ("/music/deep/a.mp3", ("2", "a.mp3")),
        ("/other/a.mp3", ("3", "a.mp3")),
        ("file:///other/a%20b.mp3", ("3", "a b.mp3")),
        ("../../../etc/passwd.mp3", (None, None)),
        ("/musical/a.mp3", (None, None)),
        ("https://radio.example/a.mp3", (None, None)),
        ("http://[broken", (None, None)),
        ("/music", (None, None)),
    ],
)
def test_where_an_entry_leads(text: str, target: tuple[str | None, str | None]) -> None:
    line = resolve(text, "Lists", MUSIC, [MUSIC, DEEP, OTHER])
    assert (line.target_library_id, line.target_path) == target
    assert line.text == text
