"""Paths inside a library, and how they are written where bytes are not welcome."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomarr.helpers.paths_helper import (
    escaped,
    folder_of,
    folders_above,
    is_within,
    join,
    name_of,
    path_key,
    readable,
    special_file_kind,
    strip_control,
    unescaped,
)

file_names = (
    st.binary(min_size=1, max_size=20).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_")).map(os.fsdecode)
)
paths = st.lists(file_names, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("folder", "name", "path"), [("", "a", "a"), ("A", "a", "A/a"), ("A/B", "a b", "A/B/a b"), ("", " ", " ")]
)
def test_a_path_is_a_folder_and_a_name(folder: str, name: str, path: str) -> None:
    assert join(folder, name) == path
    assert (folder_of(path), name_of(path)) == (folder, name)


def test_the_root_is_its_own_folder() -> None:
    assert (folder_of(""), name_of("")) == ("", "")


@pytest.mark.parametrize(
    ("path", "folder", "within"),
    [
        ("", "", True),
        ("a", "", True),
        ("Rock", "Rock", True),
        ("Rock/a", "Rock", True),
        ("Rock/B/a", "Rock", True),
        ("Rock+", "Rock", False),
        ("Rock", "Rock/a", False),
        ("rock/a", "Rock", False),
        ("", "Rock", False),
        ("A/Rock/a", "Rock", False),
    ],
)
def test_within_is_a_matter_of_whole_names(path: str, folder: str, within: bool) -> None:
    assert is_within(path, folder) is within


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("plain", "plain"),
        ("caf\u00e9", "caf\u00e9"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("back\\slash", "back\\\\slash"),
        ("\\xff", "\\\\xff"),
        (os.fsdecode(b"\\\xff\\x"), "\\\\\\xff\\\\x"),
    ],
)
def test_undecodable_bytes_become_readable_escapes(path: str, text: str) -> None:
    assert escaped(path) == text
    assert unescaped(text) == path


@settings(derandomize=True, deadline=None)
@given(paths)
def test_every_path_survives_being_escaped(path: str) -> None:
    text = escaped(path)
    text.encode("utf-8")
    assert unescaped(text) == path


@settings(derandomize=True, deadline=None)
@given(paths, paths)
def test_different_paths_stay_different_and_keep_their_folders(one: str, other: str) -> None:
    assert (escaped(one) == escaped(other)) is (one == other)
    assert (path_key(one) == path_key(other)) is (one == other)
    assert escaped(join(one, other)) == f"{escaped(one)}/{escaped(other)}"
    assert folder_of(escaped(one)) == escaped(folder_of(one))


def test_a_path_key_is_the_hash_of_the_exact_bytes() -> None:
    assert path_key("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert len({path_key(path) for path in ["caf\u00e9", "cafe\u0301", "CAF\u00c9", os.fsdecode(b"caf\xe9")]}) == 4


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("", "(library root)"),
        ("A/b c", "A/b c"),
        ("a\nb\x1b[2J", "a\\nb\\x1b[2J"),
        ("right\u202eleft", "right\\u202eleft"),
        (os.fsdecode(b"\xff"), "\\xff"),
    ],
)
def test_a_readable_path_is_one_line_and_harmless(path: str, text: str) -> None:
    assert readable(path) == text


@settings(derandomize=True, deadline=None)
@given(st.text(st.characters(), max_size=20))
def test_text_without_control_characters_can_be_printed(text: str) -> None:
    assert strip_control(text).isprintable()


def test_every_kind_of_special_file_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(tmp_path / "socket"))
        kinds = {entry.name: special_file_kind(entry.lstat().st_mode) for entry in tmp_path.iterdir()}
    assert kinds == {"file": None, "link": "a symbolic link", "fifo": "a named pipe", "socket": "a socket"}
    assert special_file_kind(tmp_path.stat().st_mode) == "a folder"
    assert special_file_kind(os.stat("/dev/null").st_mode) == "a device"
    assert special_file_kind(stat.S_IFBLK) == "a device"
    assert special_file_kind(0) == "a special file"


@pytest.mark.parametrize(
    ("path", "folders"), [("", []), ("a", [""]), ("A/B/c", ["A/B", "A", ""]), ("A+/a", ["A+", ""])]
)
def test_the_folders_above_lead_to_the_root(path: str, folders: list[str]) -> None:
    assert list(folders_above(path)) == folders
