"""gitignore patterns per folder and library, junk, and how deeper rules override those above."""

from __future__ import annotations

from pathlib import Path

import pytest

from nomarr.components.library.ignore_rules_comp import IgnoreRules, junk_rule, read_rule_file


@pytest.mark.parametrize(
    ("pattern", "path", "hidden"),
    [
        ("*.mp3", "Rock/a.mp3", True),
        ("*.mp3", "Rock/a.flac", False),
        ("/a.mp3", "a.mp3", True),
        ("/a.mp3", "Rock/a.mp3", False),
        ("# *.mp3", "a.mp3", False),
        ("caf\u00e9.mp3", "caf\u00e9.mp3", True),
        ("[a-c].mp3", "b.mp3", True),
        ("a b.mp3", "a b.mp3", True),
    ],
)
def test_a_pattern_hides_what_git_would_ignore(pattern: str, path: str, hidden: bool) -> None:
    assert (IgnoreRules.for_library([pattern]).rule_for(path, is_folder=False) is not None) == hidden


def test_a_pattern_with_a_slash_at_its_end_is_for_folders() -> None:
    rules = IgnoreRules.for_library(["Live/"])
    assert rules.rule_for("Live", is_folder=True) is not None
    assert rules.rule_for("Live", is_folder=False) is None


def test_a_later_line_takes_something_back_in() -> None:
    rules = IgnoreRules.for_library(["*.mp3", "!keep.mp3"])
    assert rules.rule_for("a.mp3", is_folder=False) is not None
    assert rules.rule_for("keep.mp3", is_folder=False) is None


def test_a_deeper_file_wins_and_speaks_of_its_own_folder() -> None:
    rules = IgnoreRules.for_library(["*.mp3"]).with_file("Rock", ".nomarrignore", "!/a.mp3\n")
    assert rules.rule_for("Rock/a.mp3", is_folder=False) is None
    assert rules.rule_for("Rock/Live/a.mp3", is_folder=False) is not None


def test_a_rule_says_where_it_stands() -> None:
    rules = IgnoreRules().with_file("Rock", ".nomarrignore", "# no demos\n\ndemo*\n")
    rule = rules.rule_for("Rock/demo1.mp3", is_folder=False)
    assert rule is not None
    assert str(rule) == "pattern 'demo*' in Rock/.nomarrignore, line 3"
    assert rule.file == "Rock/.nomarrignore"


def test_an_empty_ndignore_hides_everything_and_an_empty_nomarrignore_nothing() -> None:
    assert IgnoreRules().with_file("A", ".ndignore", " \n").rule_for("A/a.mp3", is_folder=False) is not None
    assert IgnoreRules().with_file("A", ".nomarrignore", "").rule_for("A/a.mp3", is_folder=False) is None


def test_a_line_that_is_no_pattern_does_not_spoil_the_others() -> None:
    rules = IgnoreRules().with_file("", ".nomarrignore", "!\n/\n*.mp3\n")
    rule = rules.rule_for("a.mp3", is_folder=False)
    assert rule is not None
    assert str(rule).endswith("line 3")


def test_the_digest_changes_with_patterns_and_their_place() -> None:
    digests = {
        IgnoreRules().digest,
        IgnoreRules.for_library(["a"]).digest,
        IgnoreRules.for_library(["b"]).digest,
        IgnoreRules().with_file("A", ".nomarrignore", "a").digest,
        IgnoreRules().with_file("B", ".nomarrignore", "a").digest,
    }
    assert len(digests) == 5


@pytest.mark.parametrize(
    ("name", "is_folder", "is_junk"),
    [
        ("@eaDir", True, True),
        (".Trash-1000", True, True),
        ("lost+found", True, True),
        ("...And Justice for All", True, False),
        (".hidden", True, False),
        ("._a.mp3", False, True),
        (".a.mp3", False, False),
        ("@eaDir", False, False),
    ],
)
def test_junk(name: str, is_folder: bool, is_junk: bool) -> None:
    assert (junk_rule(name, is_folder=is_folder) is not None) == is_junk


def test_a_rule_file_of_any_encoding_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / ".nomarrignore"
    file.write_bytes("é.mp3".encode("latin-1") + b"\n*.wav\n")
    rules = IgnoreRules().with_file("", ".nomarrignore", read_rule_file(str(file)))
    assert rules.rule_for("\udce9.mp3", is_folder=False) is not None
    assert rules.rule_for("a.wav", is_folder=False) is not None
