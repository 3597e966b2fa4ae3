"""Which files and folders a library leaves out: gitignore patterns per folder and per library, and known junk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import pathspec

from nomarr.helpers.dto.files import IgnoreRule
from nomarr.helpers.paths_helper import join, readable, strip_control

__all__ = [
    "JUNK_FILE_PREFIXES",
    "JUNK_FOLDERS",
    "IgnoreRules",
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


@dataclass(frozen=True)
class _RuleFile:
    folder: str
    file: str | None
    """Relative to the library; None for the library's own patterns."""
    lines: tuple[str, ...]

    @cached_property
    def spec(self) -> pathspec.GitIgnoreSpec:
        return pathspec.GitIgnoreSpec.from_lines(_valid(self.lines))

    def verdict(self, path: str) -> tuple[bool, IgnoreRule] | None:
        """Whether `path` (relative to the library) is hidden and by which rule; None if no pattern speaks of it."""
        relative = path[len(self.folder) + 1 :] if self.folder else path
        result = self.spec.check_file(relative)
        if result.include is None or result.index is None:
            return None
        pattern = strip_control(self.lines[result.index].strip())
        text = f"pattern '{pattern}' in {readable(self.file) if self.file else 'the library settings'}"
        return result.include, IgnoreRule(f"{text}, line {result.index + 1}", self.file)


@dataclass(frozen=True)
class IgnoreRules:
    """The rules that hold in one folder, outermost first; a deeper file overrides those above it, as in git."""

    files: tuple[_RuleFile, ...] = ()

    @classmethod
    def for_library(cls, patterns: Sequence[str]) -> IgnoreRules:
        """The library's own patterns, relative to its root."""
        return cls((_RuleFile("", None, tuple(patterns)),) if patterns else ())

    def with_file(self, folder: str, name: str, text: str) -> IgnoreRules:
        """These rules and those of the rule file `name` in `folder`.

        An empty `.ndignore` hides its whole folder, as Navidrome has it.
        """
        lines = tuple(text.splitlines())
        if name == ".ndignore" and not text.strip():
            lines = ("*",)
        return IgnoreRules((*self.files, _RuleFile(folder, join(folder, name), lines)))

    def rule_for(self, path: str, *, is_folder: bool) -> IgnoreRule | None:
        """The rule that hides `path`, for people; None if it is part of the library."""
        asked = path + "/" if is_folder else path
        for file in reversed(self.files):
            if (verdict := file.verdict(asked)) is not None:
                hidden, rule = verdict
                return rule if hidden else None
        return None

    @cached_property
    def digest(self) -> str:
        """Changes with every pattern; part of each folder's digest, so that rules work back in time both ways."""
        if not self.files:
            return ""
        text = repr([(file.folder, file.lines) for file in self.files])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def junk_rule(name: str, *, is_folder: bool) -> IgnoreRule | None:
    """The built-in rule that hides an entry of this name, for people."""
    if is_folder:
        junk = name in JUNK_FOLDERS or name.startswith(JUNK_FOLDER_PREFIXES)
    else:
        junk = name.startswith(JUNK_FILE_PREFIXES)
    return IgnoreRule(f"'{strip_control(name)}' is on the built-in list of junk") if junk else None


def read_rule_file(path: str) -> str:
    """The text of a rule file, whatever its encoding; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:
        return file.read(_RULE_FILE_LIMIT).decode("utf-8", "surrogateescape")


def _valid(lines: Sequence[str]) -> list[str]:
    """`lines` with a comment for whatever is no pattern: pathspec drops empty lines and counts without them."""
    checked = []
    for line in lines:
        try:
            pathspec.GitIgnoreSpec.from_lines([line])
        except ValueError:
            checked.append("#")
        else:
            checked.append(line if line.strip() else "#")
    return checked
