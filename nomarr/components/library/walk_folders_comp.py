"""Look at the disk: one `FolderListing` for each folder, in a stable order, nothing opened but rule files."""

from __future__ import annotations

import os
import stat
from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import xxhash

from nomarr.components.library.ignore_rules_comp import (
    JUNK_FILE_PREFIXES,
    IgnoreRules,
    junk_rule,
    read_rule_file,
)
from nomarr.helpers.dto.files import FolderListing, IgnoreRule, int64, no_entries
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.exceptions import InvalidPath
from nomarr.helpers.file_kinds import IGNORE_FILES, RULE_FILES, SKIP_FILE, FileKind, kind_of
from nomarr.helpers.paths_helper import folder_of, join, readable

__all__ = ["FolderWalker", "existing_target", "reason_of"]

_DIGEST_VERSION: Final = b"1"


_Candidate = tuple[str, "os.DirEntry[str]", FileKind]


@dataclass(frozen=True, slots=True)
class _Stop:
    """Why a folder is not looked into."""

    ignored_by: IgnoreRule | None = None
    error: str | None = None


class FolderWalker:
    """Walks targets of one library. Each real folder is listed once, however many links lead to it."""

    def __init__(self, root: str, rules: IgnoreRules, *, stable_identity: bool) -> None:
        """
        Args:
            root: absolute path of the library.
            rules: the library's own rules.
            stable_identity: False on file systems that make inodes and ctimes up (cifs, fuse, ...): there they
                would differ after a remount, so they are left out (zero).
        """
        self._root = root
        self._rules = rules
        self._stable_identity = stable_identity
        self._visited: defaultdict[int, set[int]] = defaultdict(set)
        """Device to the inodes of the folders on it."""

    def walk(self, target: ScanTarget) -> Iterator[FolderListing]:
        """The folder of `target` and, if it is recursive, everything below it, depth first, sorted."""
        try:
            approach = self._rules_at(target.folder_path)
        except OSError as error:
            approach = _Stop(error=reason_of(error))
        if isinstance(approach, _Stop):
            yield FolderListing(target.folder_path, 0, ignored_by=approach.ignored_by, error=approach.error)
            return
        waiting: list[tuple[str, IgnoreRules]] = [(target.folder_path, approach)]
        problems = approach.problems()
        while waiting:
            folder, rules = waiting.pop()
            listing, rules_below = self._list(folder, rules)
            listing.rule_problems = (*problems, *rules_below.problems(besides=rules))
            problems = []
            if target.recursive:
                waiting += [(join(folder, name), rules_below) for name in reversed(listing.subfolders)]
            yield listing

    def absolute(self, folder: str) -> str:
        """Where `folder` is on the disk."""
        return join(self._root, folder) if folder else self._root

    def _rules_at(self, folder: str) -> IgnoreRules | _Stop:
        """The rules that reach `folder` from the folders above it, or why it is not to be looked at."""
        rules = self._rules
        above = ""
        for segment in folder.split("/") if folder else ():
            rules, skip = self._with_rule_files(above, rules, set(RULE_FILES))
            if skip is not None:
                return _Stop(ignored_by=skip)
            above = join(above, segment)
            if os.path.islink(self.absolute(above)):
                return _Stop(error="is a symbolic link; linked folders are not followed")
            rule = junk_rule(segment, is_folder=True) or rules.rule_for(above, is_folder=True)
            if rule is not None:
                return _Stop(ignored_by=rule)
        return rules

    def _list(self, folder: str, rules: IgnoreRules) -> tuple[FolderListing, IgnoreRules]:
        listing = FolderListing(folder, 0)
        absolute = self.absolute(folder)
        unknown: dict[str, str] = {}
        try:
            status = os.stat(absolute)
            listing.device, listing.mtime_ns = status.st_dev, status.st_mtime_ns
            visited = self._visited[status.st_dev]
            if status.st_ino in visited:
                listing.ignored_by = IgnoreRule("this folder is in the library already, under another name")
                return listing, rules
            candidates, subfolders, rule_files = _entries(absolute, unknown)
            rules, skip = self._with_rule_files(folder, rules, rule_files)
        except OSError as error:
            listing.error = reason_of(error)
            return listing, rules
        visited.add(status.st_ino)
        if skip is not None:
            listing.ignored_by = skip
            return listing, rules
        self._choose_subfolders(listing, subfolders, rules)
        self._choose_files(listing, candidates, rules, unknown)
        listing.digest = self._digest(listing, rules)
        return listing, rules

    def _with_rule_files(
        self, folder: str, rules: IgnoreRules, names: set[str]
    ) -> tuple[IgnoreRules, IgnoreRule | None]:
        """`rules` with those of the folder's rule files, and the rule that hides the folder as a whole."""
        if not names:
            return rules, None
        if SKIP_FILE in names and os.path.lexists(join(self.absolute(folder), SKIP_FILE)):
            return rules, IgnoreRule(f"{SKIP_FILE} in {readable(folder)}", join(folder, SKIP_FILE))
        for name in IGNORE_FILES:
            if name in names:
                try:
                    said = read_rule_file(join(self.absolute(folder), name))
                except FileNotFoundError:
                    continue
                except OSError as error:
                    # Without its rules nobody can say what belongs to the library, so all of it is unknown.
                    raise OSError(error.errno, f"its {name} can't be read: {error.strerror}") from error
                rules = rules.with_file(folder, name, said)
        return rules, None

    def _choose_subfolders(self, listing: FolderListing, names: list[str], rules: IgnoreRules) -> None:
        subfolders: list[str] = []
        ignored: dict[str, IgnoreRule] = {}
        for name in sorted(names):
            rule = junk_rule(name, is_folder=True)
            if rule is None and rules.files:
                rule = rules.rule_for(join(listing.path, name), is_folder=True)
            if rule is None:
                subfolders.append(name)
            else:
                ignored[name] = rule
        listing.subfolders = tuple(subfolders)
        listing.ignored_folders = ignored or no_entries()

    def _choose_files(
        self, listing: FolderListing, candidates: list[_Candidate], rules: IgnoreRules, unknown: dict[str, str]
    ) -> None:
        # The innermost loop of a scan: twenty thousand turns in the time that `find` needs.
        names: list[str] = []
        numbers: list[int] = []
        ignored: dict[str, IgnoreRule] = {}
        stable = self._stable_identity
        has_rules = not rules.is_empty
        for name, entry, kind in sorted(candidates):
            if has_rules or name.startswith(JUNK_FILE_PREFIXES):
                rule = junk_rule(name, is_folder=False) or rules.rule_for_file(listing.path, name, kind)
                if rule is not None:
                    ignored[name] = rule
                    continue
            try:
                status = entry.stat(follow_symlinks=False)
                # Of a link its own one: it is another file than the one that it leads to, and may be moved without it.
                inode = status.st_ino
                if entry.is_symlink():
                    status = self._status_of_link(entry)
            except (OSError, InvalidPath) as error:
                unknown[name] = reason_of(error)
                continue
            names.append(name)
            if kind is FileKind.AUDIO:
                listing.audio_files += 1
            if stable:
                numbers += (status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode)
            else:
                numbers += (status.st_size, status.st_mtime_ns, 0, 0)
        listing.names = tuple(names)
        listing.stats = _int64_bytes(numbers)
        listing.ignored_files = ignored or no_entries()
        listing.unknown = unknown or no_entries()

    def _status_of_link(self, entry: os.DirEntry[str]) -> os.stat_result:
        target = os.path.realpath(entry.path)
        if not target.startswith(os.path.realpath(self._root) + "/"):
            raise InvalidPath(entry.name, "it is a symbolic link that leads out of the library")
        return entry.stat()

    def _digest(self, listing: FolderListing, rules: IgnoreRules) -> str:
        """Equal as long as nothing in the folder changed; empty if something in it could not be looked at."""
        if listing.unknown:
            return ""
        digest = xxhash.xxh3_128(_DIGEST_VERSION)
        digest.update(os.fsencode("/".join(listing.names)))
        digest.update(listing.stats)
        digest.update(f"/{listing.device if self._stable_identity else 0}/{rules.digest}".encode())
        return digest.hexdigest()


def existing_target(root: str, target: ScanTarget) -> ScanTarget:
    """`target`, or its nearest parent that exists, shallow: that is where its disappearance shows."""
    folder, recursive = target.folder_path, target.recursive
    while folder and not _may_be_folder(join(root, folder)):
        folder, recursive = folder_of(folder), False
    return ScanTarget(target.library_id, folder, recursive)


def reason_of(error: Exception) -> str:
    """An error of one file for a person, without the path."""
    if isinstance(error, InvalidPath):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _may_be_folder(path: str) -> bool:
    """False only if there is certainly no folder: a folder that can't be looked at is not gone."""
    try:
        # A link counts: the walk tells why it does not follow it.
        mode = os.lstat(path).st_mode
        return stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _entries(absolute: str, unknown: dict[str, str]) -> tuple[list[_Candidate], list[str], set[str]]:
    """The files that may be ours, the subfolders and the rule files."""
    candidates: list[_Candidate] = []
    subfolders: list[str] = []
    rule_files: set[str] = set()
    with os.scandir(absolute) as entries:
        for entry in entries:
            name = entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    subfolders.append(name)
                    continue
            except OSError as error:
                unknown[name] = reason_of(error)
                continue
            if name in RULE_FILES:
                rule_files.add(name)
            elif (kind := kind_of(name)) is not None:
                candidates.append((name, entry, kind))
    return candidates, subfolders, rule_files


def _int64_bytes(numbers: list[int]) -> bytes:
    try:
        return array("q", numbers).tobytes()
    except OverflowError:
        return array("q", map(int64, numbers)).tobytes()
