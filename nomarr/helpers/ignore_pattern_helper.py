"""One line of a rule file as git understands it (man gitignore), whatever somebody wrote into it.

What git can't understand is no error there: such a pattern matches nothing. Here it does so, too, and has a `problem`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from nomarr.helpers.paths_helper import strip_control

__all__ = ["IgnorePattern", "PatternGroup", "problem_of", "problem_of_name", "read_pattern"]

_LONGEST: Final = 4096
"""No path of Linux is longer; what is longer costs much to prepare and matches nothing."""
_STAR: Final = "*"
_SLASH: Final = "/"
_ESCAPED_SLASH: Final = "\\/"
_ANY_FOLDERS: Final = "**"
_NOTHING: Final = "(?!)"
_MEMBER: Final = re.compile(r"\[:(?P<kind>[^]]*):]|(?P<low>\\.|[^\\])(?:-(?P<high>\\.|[^]\\]))?", re.DOTALL)
"""What may stand in a bracket: a class, a range or a character; one after a backslash means itself."""
_CLASSES: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t-\r ",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
"""Of ASCII only, as git has them."""


@dataclass(frozen=True, slots=True)
class IgnorePattern:
    """A pattern that can be compared with paths, in time that grows with their length only a little faster."""

    hides: bool
    """False for one that takes something back in (`!`)."""
    for_folders: bool
    """True if it speaks of folders only (`/` at its end)."""
    for_names: bool
    """True if it speaks of names in whichever folder (no other `/`)."""
    regex: re.Pattern[str]
    problem: str | None = None
    """Why it can't mean what it says, for people."""

    def speaks_of(self, path: str, name: str, *, is_folder: bool) -> bool:
        """Whether it matches `path`, relative to the pattern's folder, the last segment of which is `name`."""
        if self.for_folders and not is_folder:
            return False
        return self.regex.fullmatch(name if self.for_names else path) is not None


class PatternGroup:
    """Patterns, as they are read without `any_case`, that are compared all at once: most paths match none of them."""

    def __init__(self, patterns: Sequence[IgnorePattern]) -> None:
        self._names = _any_of([pattern.regex for pattern in patterns if pattern.for_names])
        self._paths = _any_of([pattern.regex for pattern in patterns if not pattern.for_names])

    def may_speak_of(self, path: str, name: str) -> bool:
        """False only if none of them speaks of `path`, whose last segment is `name`."""
        return self._names.fullmatch(name) is not None or self._paths.fullmatch(path) is not None


def _any_of(regexes: Sequence[re.Pattern[str]]) -> re.Pattern[str]:
    if len(regexes) == 1:
        return regexes[0]
    return re.compile("|".join(f"(?:{regex.pattern})" for regex in regexes) or _NOTHING, re.DOTALL)


def problem_of(line: str) -> str | None:
    """Why the pattern in one line can't mean what it says, for people; None if it can, or is a comment."""
    read = read_pattern(line)
    return None if read is None else read.problem


def problem_of_name(line: str) -> str | None:
    """As `problem_of`, for a pattern that is to tell which files are taken, by their names."""
    read = read_pattern(line)
    if read is None or read.problem is not None:
        return None if read is None else read.problem
    if not read.hides:
        return "it takes files out; that is what ignore_patterns is for"
    if read.for_folders or not read.for_names:
        return "it speaks of folders; write what files are called, as '*.flac'"
    return None


# Those of settings are read for each scan, and a thousand of them take 0.15 s.
@lru_cache(maxsize=4096)
def read_pattern(line: str, *, any_case: bool = False) -> IgnorePattern | None:
    """The pattern in one line; None for an empty line or a comment.

    Args:
        any_case: small letters match capital ones and the other way round, which they don't do in git.
    """
    glob = _without_spaces_at_its_end(line)
    if not glob or glob.startswith("#"):
        return None
    hides = not glob.startswith("!")
    glob = glob.removeprefix("!")
    for_folders = glob.endswith("/")
    glob = glob.removesuffix("/")
    for_names = "/" not in glob
    regex, problem = _regex_of(glob.removeprefix("/"))
    flags = re.DOTALL | re.IGNORECASE if any_case else re.DOTALL
    return IgnorePattern(hides, for_folders, for_names, re.compile(regex, flags), problem)


def _without_spaces_at_its_end(line: str) -> str:
    stripped = line.rstrip()
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    # The space after a backslash belongs to the name.
    return line[: len(stripped) + backslashes % 2]


def _regex_of(glob: str) -> tuple[str, str | None]:
    """What matches the whole of a name or path, and what is wrong with the pattern."""
    if not glob:
        return _NOTHING, "it names nothing"
    if len(glob) > _LONGEST:
        return _NOTHING, "it is longer than any path"
    if "\0" in glob:
        return _NOTHING, "it holds a NUL, which no name does; a file in UTF-16 does, save it as UTF-8"
    reader = _GlobReader(glob)
    try:
        return _path(list(reader.tokens())), reader.doubt
    except ValueError as error:
        return _NOTHING, str(error)


class _GlobReader:
    """Takes a pattern apart. Each token is a star, a slash, or a regular expression for exactly one character."""

    def __init__(self, glob: str) -> None:
        self._glob = glob
        self._at = 0
        self.doubt: str | None = None
        """What is understood, and surely not meant."""

    def tokens(self) -> Iterator[str]:
        """Raises ValueError if git would take the pattern for a broken one."""
        while char := self._next():
            if char == "[":
                yield self._bracket()
            elif char == "\\":
                escaped = self._escaped()
                yield _ESCAPED_SLASH if escaped == _SLASH else re.escape(escaped)
            elif char == "?":
                yield "[^/]"
            else:
                yield char if char in (_STAR, _SLASH) else re.escape(char)

    def _next(self) -> str:
        """The next character; empty at the end."""
        char = self._glob[self._at : self._at + 1]
        self._at += len(char)
        return char

    def _escaped(self) -> str:
        char = self._next()
        if not char:
            raise ValueError("it ends with a backslash that escapes nothing")
        return char

    def _bracket(self) -> str:
        is_negated = self._glob.startswith(("!", "^"), self._at)
        self._at += is_negated
        members = self._member()
        # A bracket that closes at once is its own first member.
        while not self._glob.startswith("]", self._at):
            members += self._member()
        self._at += 1
        if is_negated:
            return f"[^/{members}]"
        return f"(?!/)[{members}]" if members else _NOTHING

    def _member(self) -> str:
        """One member of a bracket, as it is written in one of a regular expression."""
        member = _MEMBER.match(self._glob, self._at)
        if member is None:
            raise ValueError("its bracket is never closed")
        self._at = member.end()
        if (kind := member["kind"]) is not None:
            if kind not in _CLASSES:
                raise ValueError(f"there is no character class '[:{strip_control(kind)}:]'")
            return _CLASSES[kind]
        low, high = member["low"][-1], (member["high"] or member["low"])[-1]
        if low > high:
            self.doubt = f"the range '{strip_control(f'{low}-{high}')}' in its bracket runs backwards and holds nothing"
            return ""
        return f"{re.escape(low)}-{re.escape(high)}"


def _path(tokens: list[str]) -> str:
    """The whole pattern; raises ValueError if no path can have all of its names.

    What lies between two `**` takes the first place that it finds and stays there. If any place leads to a match, the
    first one does, and so nothing is ever tried twice; the same holds for what lies between two stars of a segment.
    """
    segments = list(_segments(tokens))
    if "" in segments:
        raise ValueError("one of the names between its slashes is empty")
    first, *others = ("/".join(group) for group in _split(segments, _ANY_FOLDERS))
    if not others:
        return first
    *inner, last = others
    return (
        (f"{first}/" if first else "")
        + "".join(f"(?>(?:[^/]+/)*?{group}/)" for group in inner if group)
        + (f"(?:[^/]+/)*{last}" if last else ".+")
    )


def _segments(tokens: Iterable[str]) -> Iterator[str]:
    """What stands between the slashes."""
    name_tokens: list[str] = []
    for token in (*tokens, _SLASH):
        if token not in (_SLASH, _ESCAPED_SLASH):
            name_tokens.append(token)
            continue
        segment = _segment(name_tokens)
        yield segment
        if segment == _ANY_FOLDERS and token == _ESCAPED_SLASH:
            # In git it stands for one folder at least then.
            yield "[^/]+"
        name_tokens = []


def _segment(tokens: list[str]) -> str:
    if len(tokens) > 1 and set(tokens) == {_STAR}:
        return _ANY_FOLDERS
    first, *others = ("".join(chunk) for chunk in _split(tokens, _STAR))
    if not others:
        return first
    *inner, last = others
    return first + "".join(f"(?>[^/]*?{chunk})" for chunk in inner if chunk) + f"[^/]*{last}"


def _split(items: Iterable[str], separator: str) -> list[list[str]]:
    """The items between the separators; one list more than there are of those."""
    groups: list[list[str]] = [[]]
    for item in items:
        if item == separator:
            groups.append([])
        else:
            groups[-1].append(item)
    return groups
