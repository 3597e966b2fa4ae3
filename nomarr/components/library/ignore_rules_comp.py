"""Which files and folders a library leaves out: gitignore patterns per folder and per library, and known junk."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from nomarr.helpers.dto.files import IgnoreRule
from nomarr.helpers.dto.library import FileRules
from nomarr.helpers.file_kinds import FileKind
from nomarr.helpers.ignore_pattern_helper import IgnorePattern, PatternGroup, read_pattern
from nomarr.helpers.paths_helper import join, name_of, readable, strip_control

__all__ = [
    "JUNK_FILE_PREFIXES",
    "JUNK_FOLDERS",
    "IgnoreRules",
    "RuleText",
    "junk_rule",
    "read_rule_file",
]

JUNK_FOLDERS: Final = frozenset(
    {
        "$RECYCLE.BIN",
        "#recycle",
        "#snapshot",
        ".git",
        ".snapshot",
        ".snapshots",
        ".Spotlight-V100",
        ".stfolder",
        ".stversions",
        ".Trash",
        ".Trashes",
        "@eaDir",
        "@Recycle",
        "@Recently-Snapshot",
        "__MACOSX",
        "lost+found",
        "System Volume Information",
    }
)
JUNK_FOLDER_PREFIXES: Final = (".Trash-",)
JUNK_FILE_PREFIXES: Final = ("._", ".syncthing.", "~syncthing~", ".trashed-")
"""AppleDouble companions and half-transferred files; they carry the extension of the real one."""

_RULE_FILE_LIMIT: Final = 1 << 20
_COMPARED_AT_ONCE: Final = 250
"""So many patterns are one regular expression."""
_PROBLEMS_TOLD: Final = 5
"""Of one rule file: one that is no text at all has thousands."""
_TEXT_TOLD: Final = 80
_NOT_TAKEN: Final = IgnoreRule("its name is none of those in the setting audio_patterns")


@dataclass(frozen=True, slots=True)
class RuleText:
    """What a rule file says."""

    text: str
    is_cut: bool = False
    """True: the file is too large, and this is its beginning, up to the end of a line."""


@dataclass(frozen=True)
class _RuleFile:
    folder: str
    file: str | None
    """Relative to the library; None for patterns that are in no file."""
    lines: tuple[str, ...]
    is_cut: bool = False
    """There are more lines, which nobody has read."""
    kept_in: str = "the library settings"
    """Where patterns are that are in no file, for people."""

    @cached_property
    def patterns(self) -> list[tuple[int, IgnorePattern]]:
        """Each with its line, counted from one."""
        read = ((number, read_pattern(line)) for number, line in enumerate(self.lines, start=1))
        return [(number, pattern) for number, pattern in read if pattern is not None]

    @cached_property
    def _parts(self) -> list[tuple[PatternGroup, list[tuple[int, IgnorePattern]]]]:
        parts = (
            self.patterns[start : start + _COMPARED_AT_ONCE]
            for start in range(0, len(self.patterns), _COMPARED_AT_ONCE)
        )
        return [(PatternGroup([pattern for _, pattern in part]), part) for part in parts]

    @property
    def name(self) -> str:
        return self.kept_in if self.file is None else readable(self.file)

    def verdict(self, path: str, *, is_folder: bool) -> tuple[bool, IgnoreRule] | None:
        """Whether `path` (relative to the library) is hidden and by which rule; None if no pattern speaks of it."""
        relative = path[len(self.folder) + 1 :] if self.folder else path
        name = name_of(relative)
        for group, part in reversed(self._parts):
            if not group.may_speak_of(relative, name):
                continue
            for number, pattern in reversed(part):
                if pattern.speaks_of(relative, name, is_folder=is_folder):
                    return pattern.hides, IgnoreRule(f"{self._quoted(number)} in {self.name}, line {number}", self.file)
        return None

    def problems(self) -> list[str]:
        """What to tell people of lines that were not read or can't mean what they say, and at most so much of it."""
        found = [(number, pattern.problem) for number, pattern in self.patterns if pattern.problem is not None]
        told = [
            f"line {number} of {self.name}: the {self._quoted(number)} can't mean what it says: {problem}"
            for number, problem in found[:_PROBLEMS_TOLD]
        ]
        if more := len(found) - len(told):
            told.append(f"{self.name}: {more} more lines can't mean what they say")
        if self.is_cut:
            limit = f"{_RULE_FILE_LIMIT >> 20} MiB"
            told.append(f"{self.name} is larger than {limit}: what follows its line {len(self.lines)} does not count")
        return told

    def _quoted(self, number: int) -> str:
        text = strip_control(self.lines[number - 1].strip())
        return f"pattern '{text if len(text) <= _TEXT_TOLD else text[:_TEXT_TOLD] + '…'}'"


@dataclass(frozen=True)
class IgnoreRules:
    """The rules that hold in one folder, outermost first; a deeper file overrides those above it, as in git."""

    files: tuple[_RuleFile, ...] = ()
    audio_patterns: tuple[str, ...] = ()
    """Names of the files that are taken for audio; empty: all that can be read."""

    @classmethod
    def for_library(cls, patterns: Sequence[str], everywhere: FileRules) -> IgnoreRules:
        """The library's own patterns, relative to its root, and above them those of every library."""
        above = _RuleFile("", None, everywhere.ignore_patterns, kept_in="the setting ignore_patterns")
        own = _RuleFile("", None, tuple(patterns))
        return cls(tuple(file for file in (above, own) if file.lines), everywhere.audio_patterns)

    def with_file(self, folder: str, name: str, said: RuleText) -> IgnoreRules:
        """These rules and those of the rule file `name` in `folder`.

        An empty `.ndignore` hides its whole folder, as Navidrome has it.
        """
        lines = tuple(said.text.splitlines())
        if name == ".ndignore" and not said.text.strip() and not said.is_cut:
            lines = ("*",)
        return replace(self, files=(*self.files, _RuleFile(folder, join(folder, name), lines, said.is_cut)))

    @property
    def is_empty(self) -> bool:
        """True if they leave nothing out."""
        return not self.files and not self.audio_patterns

    def rule_for_file(self, folder: str, name: str, kind: FileKind) -> IgnoreRule | None:
        """As `rule_for`, for the file called `name` in `folder`."""
        if kind is FileKind.AUDIO and self._audio_names and not self._is_audio(name):
            return _NOT_TAKEN
        return self.rule_for(join(folder, name), is_folder=False) if self.files else None

    def rule_for(self, path: str, *, is_folder: bool) -> IgnoreRule | None:
        """The rule that hides `path`, for people; None if it is part of the library."""
        for file in reversed(self.files):
            if (verdict := file.verdict(path, is_folder=is_folder)) is not None:
                hidden, rule = verdict
                return rule if hidden else None
        return None

    def problems(self, *, besides: IgnoreRules | None = None) -> list[str]:
        """Lines that can't mean what they say or are not read, for people; `besides` are the rules above."""
        known = 0 if besides is None else len(besides.files)
        return [problem for file in self.files[known:] for problem in file.problems()]

    @cached_property
    def _audio_names(self) -> list[re.Pattern[str]]:
        read = (read_pattern(line, any_case=True) for line in self.audio_patterns)
        return [pattern.regex for pattern in read if pattern is not None]

    def _is_audio(self, name: str) -> bool:
        return any(names.fullmatch(name) for names in self._audio_names)

    @cached_property
    def digest(self) -> str:
        """Changes with every pattern; part of each folder's digest, so that rules work back in time both ways."""
        if self.is_empty:
            return ""
        text = repr([(file.folder, file.lines) for file in self.files])
        if self.audio_patterns:
            text += repr(self.audio_patterns)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def junk_rule(name: str, *, is_folder: bool) -> IgnoreRule | None:
    """The built-in rule that hides an entry of this name, for people."""
    if is_folder:
        junk = name in JUNK_FOLDERS or name.startswith(JUNK_FOLDER_PREFIXES)
    else:
        junk = name.startswith(JUNK_FILE_PREFIXES)
    return IgnoreRule(f"'{strip_control(name)}' is on the built-in list of junk") if junk else None


def read_rule_file(path: str) -> RuleText:
    """What a rule file says, whatever its encoding, without a byte order mark of UTF-8; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:
        content = file.read(_RULE_FILE_LIMIT + 1)
    # git skips the mark, too, which editors on Windows write; it would be a part of the first pattern.
    text = content[:_RULE_FILE_LIMIT].removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    if len(content) <= _RULE_FILE_LIMIT:
        return RuleText(text)
    # The beginning of a pattern would be another pattern.
    return RuleText("".join(text.splitlines(keepends=True)[:-1]), is_cut=True)
