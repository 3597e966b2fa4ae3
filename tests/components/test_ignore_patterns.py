"""gitignore patterns per folder and library, junk, and how deeper rules override those above."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nomarr.components.library.ignore_rules_comp import IgnoreRules, RuleText, junk_rule, read_rule_file
from nomarr.helpers.dto.library import FileRules
from nomarr.helpers.ignore_pattern_helper import problem_of, read_pattern

BACKWARDS = "the range 'z-a' in its bracket runs backwards and holds nothing"
PATTERNS = (
    "**/a/**/b",
    "a/**",
    "**/ab",
    "b/**/",
    "[z-ab]",
    "[]a-]*",
    "[!a]*",
    "[[:alpha:]]*",
    "a*b",
    "!b",
    "*/a",
    "!*/",
)
NAMES = ("a", "b", "ab", "a-b", "b]", "a b", "*", "#a", "[a")
PATHS = {f"{folder}{name}" for folder in ("", *(f"{name}/" for name in NAMES), "a/b/", "b/a/ab/") for name in NAMES}
FOLDERS = {step for path in PATHS for step in accumulate(path.split("/")[:-1], "{}/{}".format)}
FILES = PATHS - FOLDERS


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
        ("a.mp3  ", "a.mp3", True),
        ("a\\ ", "a ", True),
        ("\\#a.mp3", "#a.mp3", True),
        ("\\!a.mp3", "!a.mp3", True),
        ("[[:digit:]][[:digit:]] *.mp3", "07 Intro.mp3", True),
        ("[[:digit:]][[:digit:]] *.mp3", "x7 Intro.mp3", False),
        ("[^a-c].mp3", "d.mp3", True),
        ("[!a-c].mp3", "b.mp3", False),
        ("[]-].mp3", "].mp3", True),
        ("Rock[/]a.mp3", "Rock/a.mp3", False),
        ("Rock/**/a.mp3", "Rock/a.mp3", True),
        ("Rock/**/a.mp3", "Rock/Live/1999/a.mp3", True),
        ("**/Live/*.mp3", "Rock/Live/a.mp3", True),
        ("**/Live/*.mp3", "Rock/Live/1999/a.mp3", False),
        ("Rock/*.mp3", "Rock/Live/a.mp3", False),
        ("a**z.mp3", "a/z.mp3", False),
        ("*\n.mp3", "a\n.mp3", True),
    ],
)
def test_a_pattern_hides_what_git_would_ignore(pattern: str, path: str, hidden: bool) -> None:
    assert (IgnoreRules.for_library([pattern], FileRules()).rule_for(path, is_folder=False) is not None) == hidden


def test_a_pattern_with_a_slash_at_its_end_is_for_folders() -> None:
    rules = IgnoreRules.for_library(["Live/"], FileRules())
    assert rules.rule_for("Live", is_folder=True) is not None
    assert rules.rule_for("Live", is_folder=False) is None


def test_a_later_line_takes_something_back_in() -> None:
    rules = IgnoreRules.for_library(["*.mp3", "!keep.mp3"], FileRules())
    assert rules.rule_for("a.mp3", is_folder=False) is not None
    assert rules.rule_for("keep.mp3", is_folder=False) is None


def test_a_deeper_file_wins_and_speaks_of_its_own_folder() -> None:
    rules = IgnoreRules.for_library(["*.mp3"], FileRules()).with_file("Rock", ".nomarrignore", RuleText("!/a.mp3\n"))
    assert rules.rule_for("Rock/a.mp3", is_folder=False) is None
    assert rules.rule_for("Rock/Live/a.mp3", is_folder=False) is not None


def test_a_rule_says_where_it_stands() -> None:
    rules = IgnoreRules().with_file("Rock", ".nomarrignore", RuleText("# no demos\n\ndemo*\n"))
    rule = rules.rule_for("Rock/demo1.mp3", is_folder=False)
    assert rule is not None
    assert str(rule) == "pattern 'demo*' in Rock/.nomarrignore, line 3"
    assert rule.file == "Rock/.nomarrignore"


def test_an_empty_ndignore_hides_everything_and_an_empty_nomarrignore_nothing() -> None:
    assert IgnoreRules().with_file("A", ".ndignore", RuleText(" \n")).rule_for("A/a.mp3", is_folder=False) is not None
    assert IgnoreRules().with_file("A", ".nomarrignore", RuleText("")).rule_for("A/a.mp3", is_folder=False) is None


def test_a_line_that_is_no_pattern_does_not_spoil_the_others() -> None:
    rules = IgnoreRules().with_file("", ".nomarrignore", RuleText("!\n/\n*.mp3\n"))
    rule = rules.rule_for("a.mp3", is_folder=False)
    assert rule is not None
    assert str(rule).endswith("line 3")


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("[Various-Artists]/", "the range 's-A' in its bracket runs backwards and holds nothing"),
        ("[z-a]", "the range 'z-a' in its bracket runs backwards and holds nothing"),
        ("![z-a]", "the range 'z-a' in its bracket runs backwards and holds nothing"),
        ("Rock/[broken", "its bracket is never closed"),
        ("a\\", "it ends with a backslash that escapes nothing"),
        ("[[:letter:]]", "there is no character class '[:letter:]'"),
        ("!", "it names nothing"),
        ("/", "it names nothing"),
        ("//**", "one of the names between its slashes is empty"),
        ("\\/**", "one of the names between its slashes is empty"),
        ("Rock//a.mp3", "one of the names between its slashes is empty"),
        ("Rock//", "one of the names between its slashes is empty"),
        ("a\0b", "it holds a NUL, which no name does; a file in UTF-16 does, save it as UTF-8"),
        ("a" * 4097, "it is longer than any path"),
    ],
)
def test_a_pattern_that_cannot_mean_what_it_says_has_a_problem(pattern: str, problem: str) -> None:
    assert problem_of(pattern) == problem
    assert IgnoreRules.for_library([pattern], FileRules()).rule_for("q", is_folder=True) is None


@pytest.mark.parametrize("pattern", ["", "  ", "# [z-a]", "*.mp3", "!keep.mp3", "[a-c]*/", "[[:alpha:]]", "**"])
def test_patterns_and_comments_have_no_problem(pattern: str) -> None:
    assert problem_of(pattern) is None


def test_the_rest_of_a_bracket_holds_when_one_of_its_ranges_is_backwards() -> None:
    rules = IgnoreRules.for_library(["[z-ab].mp3"], FileRules())
    assert rules.rule_for("b.mp3", is_folder=False) is not None
    assert rules.rule_for("m.mp3", is_folder=False) is None


def test_problems_name_the_file_and_the_line_and_are_not_endless() -> None:
    rules = IgnoreRules.for_library(["*.tmp", "[z-a]"], FileRules())
    below = rules.with_file("Rock", ".nomarrignore", RuleText("# fine\n[broken\n")).with_file(
        "Rock", ".ndignore", RuleText("[\n" * 1000)
    )
    assert rules.problems() == [
        "line 2 of the library settings: the pattern '[z-a]' can't mean what it says: " + BACKWARDS
    ]
    assert below.problems(besides=rules) == [
        "line 2 of Rock/.nomarrignore: the pattern '[broken' can't mean what it says: its bracket is never closed",
        *(
            f"line {n} of Rock/.ndignore: the pattern '[' can't mean what it says: its bracket is never closed"
            for n in range(1, 6)
        ),
        "Rock/.ndignore: 995 more lines can't mean what they say",
    ]


@given(patterns=st.lists(st.text(), max_size=4), path=st.text(min_size=1), is_folder=st.booleans())
@example(patterns=["[Various-Artists]/"], path="a", is_folder=True)
@example(patterns=["[[a]--b&&c||d~~e]"], path="a", is_folder=False)
@example(patterns=["\ud800", "[\udcff-\ud800]"], path="\ud800", is_folder=False)
def test_any_text_may_be_a_pattern(patterns: list[str], path: str, is_folder: bool) -> None:
    rules = IgnoreRules.for_library(patterns, FileRules()).with_file("", ".nomarrignore", RuleText("\n".join(patterns)))
    rules.rule_for(path, is_folder=is_folder)
    assert rules.digest
    assert all(problem.isprintable() for problem in rules.problems())


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a*a*a*a*a*a*a*b", "a" * 255),
        ("**/**/**/**/**/**/**/a*a*a*a*a*a*a*b", "a" * 255),
        ("**/a/**/a/**/a/**/a/**/a/**/b", "/".join("a" * 2000)),
        ("**/*a*/*a*/**/*a*/*a*/**/*a*b", "/".join(["a" * 15] * 250)),
        ("[!b]*" * 800 + "b", "a" * 255),
    ],
)
def test_no_pattern_takes_long_for_any_name(pattern: str, path: str) -> None:
    rules = IgnoreRules.for_library([pattern], FileRules())
    assert rules.rule_for(path, is_folder=False) is None
    began = time.process_time()
    rules.rule_for(path, is_folder=False)
    assert time.process_time() - began < 0.5


@pytest.fixture(scope="module")
def ignored_by_git(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], set[str]]:
    """Tells which files git leaves out with a rule file that holds these bytes."""
    if shutil.which("git") is None:
        pytest.skip("git is missing: it says what patterns leave out")
    root = tmp_path_factory.mktemp("git")
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path in FILES:
        (root / path).touch()
    subprocess.run(["git", "init", "--quiet", root], check=True)

    def ask(content: bytes) -> set[str]:
        (root / ".git" / "info" / "exclude").write_bytes(content)
        command = [
            "git",
            "-C",
            str(root),
            "-c",
            "core.excludesFile=/dev/null",
            "check-ignore",
            "--no-index",
            "--stdin",
            "-z",
        ]
        answer = subprocess.run(command, input="\0".join(FILES), capture_output=True, text=True, check=False)
        assert answer.returncode in (0, 1), answer.stderr
        return set(answer.stdout.split("\0")) - {""}

    return ask


@given(
    patterns=st.lists(
        st.text("ab*?[]!^-/\\ #:", max_size=8)
        | st.lists(st.sampled_from(("/", "**", "*", "a", "b", "?", "\\/")), max_size=6).map("".join)
        | st.sampled_from(PATTERNS),
        min_size=1,
        max_size=3,
    ),
    line_end=st.sampled_from(("\n", "\r\n")),
    encoding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16")),
)
@example(patterns=["//**"], line_end="\n", encoding="utf-8")
@example(patterns=["\\/**"], line_end="\n", encoding="utf-8")
@example(patterns=["**\\/b"], line_end="\n", encoding="utf-8")
@example(patterns=["**//"], line_end="\n", encoding="utf-8")
@example(patterns=["a/", "b"], line_end="\r\n", encoding="utf-8-sig")
def test_the_same_is_left_out_as_by_git(
    tmp_path_factory: pytest.TempPathFactory,
    ignored_by_git: Callable[[bytes], set[str]],
    patterns: list[str],
    line_end: str,
    encoding: str,
) -> None:
    content = "".join(pattern + line_end for pattern in patterns).encode(encoding)
    file = tmp_path_factory.getbasetemp() / ".nomarrignore"
    file.write_bytes(content)
    rules = IgnoreRules().with_file("", ".nomarrignore", read_rule_file(str(file)))

    def is_hidden(path: str) -> bool:
        steps = accumulate(path.split("/"), "{}/{}".format)
        return any(rules.rule_for(step, is_folder=step in FOLDERS) is not None for step in steps)

    assert {path for path in FILES if is_hidden(path)} == ignored_by_git(content)


@given(
    st.lists(st.one_of(st.sampled_from(PATTERNS), st.text("ab*/!?[]-", max_size=6)), max_size=600),
    st.sampled_from(sorted(PATHS)),
    st.booleans(),
)
def test_the_last_of_many_patterns_that_speaks_of_a_path_decides(
    patterns: list[str], path: str, is_folder: bool
) -> None:
    rules = IgnoreRules.for_library(patterns, FileRules())
    name = path.rpartition("/")[2]
    read = [(number, pattern) for number, line in enumerate(patterns, 1) if (pattern := read_pattern(line))]
    spoken = [(number, one.hides) for number, one in read if one.speaks_of(path, name, is_folder=is_folder)]
    number, hides = spoken[-1] if spoken else (0, False)
    rule = rules.rule_for(path, is_folder=is_folder)
    assert (rule is not None) == hides
    assert rule is None or str(rule).endswith(f"line {number}")


def test_the_digest_changes_with_patterns_and_their_place() -> None:
    digests = {
        IgnoreRules().digest,
        IgnoreRules.for_library(["a"], FileRules()).digest,
        IgnoreRules.for_library(["b"], FileRules()).digest,
        IgnoreRules().with_file("A", ".nomarrignore", RuleText("a")).digest,
        IgnoreRules().with_file("B", ".nomarrignore", RuleText("a")).digest,
        IgnoreRules.for_library(["a"], FileRules(("b",))).digest,
        IgnoreRules.for_library(["b"], FileRules(("a",))).digest,
        IgnoreRules.for_library([], FileRules(audio_patterns=("a",))).digest,
        IgnoreRules.for_library(["a"], FileRules(audio_patterns=("a",))).digest,
    }
    assert len(digests) == 9


def test_patterns_of_every_library_stand_above_those_of_one() -> None:
    rules = IgnoreRules.for_library(["!keep*", "also.mp3"], FileRules(("*.tmp", "keep*")))
    assert rules.rule_for("keep.mp3", is_folder=False) is None
    assert str(rules.rule_for("a.tmp", is_folder=False)) == "pattern '*.tmp' in the setting ignore_patterns, line 1"
    assert str(rules.rule_for("also.mp3", is_folder=False)) == "pattern 'also.mp3' in the library settings, line 2"


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


def test_a_byte_order_mark_is_no_part_of_the_first_pattern(tmp_path: Path) -> None:
    file = tmp_path / ".ndignore"
    file.write_text("*.wav\n", "utf-8-sig")
    rules = IgnoreRules().with_file("", ".ndignore", read_rule_file(str(file)))
    assert str(rules.rule_for("a.wav", is_folder=False)) == "pattern '*.wav' in .ndignore, line 1"
    file.write_text("", "utf-8-sig")
    rules = IgnoreRules().with_file("A", ".ndignore", read_rule_file(str(file)))
    assert rules.rule_for("A/a.wav", is_folder=False) is not None, "an empty .ndignore hides its folder"


def test_a_rule_file_in_utf_16_hides_nothing_and_is_told(tmp_path: Path) -> None:
    file = tmp_path / ".ndignore"
    file.write_text("Books/\n", "utf-16")
    rules = IgnoreRules().with_file("", ".ndignore", read_rule_file(str(file)))
    assert rules.rule_for("Books", is_folder=True) is None
    problem = rules.problems()[0]
    assert problem.startswith("line 1 of .ndignore: the pattern '")
    assert problem.endswith(
        "can't mean what it says: it holds a NUL, which no name does; a file in UTF-16 does, save it as UTF-8"
    )


def test_of_a_rule_file_that_is_too_large_whole_lines_count_and_the_rest_is_told(tmp_path: Path) -> None:
    file = tmp_path / ".nomarrignore"
    # The limit is in the middle of the last line, whose beginning would hide everything.
    file.write_bytes(b"*.wav\n" + b"# " + b"x" * ((1 << 20) - 10) + b"\n*.mp3\n")
    rules = IgnoreRules().with_file("Rock", ".nomarrignore", read_rule_file(str(file)))
    assert rules.rule_for("Rock/a.wav", is_folder=False) is not None
    assert rules.rule_for("Rock/a.mp3", is_folder=False) is None
    assert rules.rule_for("Rock/a.ogg", is_folder=False) is None
    assert rules.problems() == [
        "Rock/.nomarrignore is larger than 1 MiB: what follows its line 2 does not count",
    ]


def test_a_rule_file_that_is_as_large_as_it_may_be_counts_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / ".nomarrignore"
    file.write_bytes(b"#" * ((1 << 20) - 6) + b"\n*.mp3")
    rules = IgnoreRules().with_file("", ".nomarrignore", read_rule_file(str(file)))
    assert rules.rule_for("a.mp3", is_folder=False) is not None
    assert rules.problems() == []


def test_a_folder_is_not_hidden_by_a_rule_file_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / ".ndignore"
    file.write_bytes(b"x" * ((1 << 20) + 1))
    rules = IgnoreRules().with_file("A", ".ndignore", read_rule_file(str(file)))
    assert rules.rule_for("A/a.mp3", is_folder=False) is None
    assert rules.problems() == ["A/.ndignore is larger than 1 MiB: what follows its line 0 does not count"]
