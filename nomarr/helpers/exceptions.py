"""Every error of Nomarr: one tree, each with its facts as attributes and a `str()` that says what to do."""

from __future__ import annotations

from collections.abc import Sequence

from nomarr.helpers.paths_helper import strip_control

__all__ = [
    "ConfigurationError",
    "CopyDiffers",
    "CopyTargetNotEmpty",
    "CoverFolderUnusable",
    "DatabaseError",
    "DatabaseInUse",
    "DatabaseNotReachable",
    "DatabaseSchemaTooNew",
    "EnrichmentBusy",
    "FileNotKnown",
    "FingerprintLibraryMissing",
    "InvalidPath",
    "InvalidTokenName",
    "LeaseLost",
    "LibraryAlreadyExists",
    "LibraryAlreadyScanning",
    "LibraryNotFound",
    "LibraryOffline",
    "MoveCannotBeUndone",
    "MoveNotFound",
    "NomarrError",
    "ScanCancelled",
    "StorageFull",
    "TaskAlreadyRunning",
    "TokenNotFound",
    "TooManyTokens",
    "ToolError",
    "ToolMissing",
    "ToolOutputTooLong",
    "ToolTimedOut",
    "UnfinishedCopy",
]


class NomarrError(Exception):
    """Base of everything that Nomarr raises on purpose."""


class ConfigurationError(NomarrError, ValueError):
    """A setting that can't be used; `source` says where it was set."""

    def __init__(self, problem: str, *, source: str = "the configuration") -> None:
        super().__init__(f"{source}: {problem}")
        self.problem = problem
        self.source = source


class CoverFolderUnusable(NomarrError):
    """The folder that holds covers can't be read or written."""

    def __init__(self, folder: str, reason: str, remedy: str = "check the folder's rights") -> None:
        super().__init__(f"covers can't be kept in {strip_control(folder)}: {strip_control(reason)}; {remedy}")
        self.folder = folder
        self.reason = reason


class EnrichmentBusy(NomarrError):
    """Another process enriches this database; `owner` is how it is called there."""

    def __init__(self, owner: str) -> None:
        super().__init__("another process enriches this database now; let it, or end it first")
        self.owner = owner


class FileNotKnown(NomarrError, LookupError):
    """No library has a file with this id."""

    def __init__(self, file_id: str) -> None:
        super().__init__(f"no file has the id '{strip_control(file_id)}'; 'nomarr files LIBRARY --json' tells ids")
        self.file_id = file_id


class InvalidPath(NomarrError, ValueError):
    """A path that can't be a folder of a library.

    Args:
        is_root: it was to be the folder of the library itself.
    """

    def __init__(self, path: str, reason: str, *, is_root: bool = False) -> None:
        wanted = "can't be a library" if is_root else "is not a folder inside a library"
        super().__init__(f"'{strip_control(path)}' {wanted}: {reason}")
        self.path = path
        self.reason = reason


class LibraryNotFound(NomarrError, LookupError):
    """No library has this name, id or folder."""

    def __init__(self, wanted: str, known: Sequence[str] = ()) -> None:
        names = f" (there are: {', '.join(known)})" if known else ""
        super().__init__(
            f"no library is called '{strip_control(wanted)}'{names}; "
            "'nomarr library list' shows them, 'nomarr library add NAME PATH' adds one"
        )
        self.wanted = wanted


class LibraryAlreadyExists(NomarrError, ValueError):
    """Another library has this name or this folder."""

    def __init__(self, name: str, root_path: str, conflict: str) -> None:
        super().__init__(f"library '{strip_control(name)}' at {strip_control(root_path)} can't be added: {conflict}")
        self.name = name
        self.root_path = root_path


class LibraryOffline(NomarrError):
    """The library's root is away, empty or another disk: nothing was judged and no row was changed."""

    def __init__(self, name: str, root_path: str, reason: str) -> None:
        super().__init__(
            f"library '{strip_control(name)}' is offline: {reason}. Nothing was changed. "
            f"Connect or mount {strip_control(root_path)} and scan again, "
            "or tell Nomarr its new place: nomarr library relocate"
        )
        self.name = name
        self.root_path = root_path
        self.reason = reason


class LibraryAlreadyScanning(NomarrError):
    """Another process holds the library's lease."""

    def __init__(self, name: str, owner: str, expires_at: float) -> None:
        super().__init__(
            f"library '{strip_control(name)}' is being scanned by another process ({owner}); "
            "wait for it (--wait) or stop it"
        )
        self.name = name
        self.owner = owner
        self.expires_at = expires_at


class LeaseLost(NomarrError):
    """The lease ran out or was taken over while scanning; from then on this scan writes nothing."""

    def __init__(self, library_id: str) -> None:
        super().__init__(
            "this scan was paused for longer than its lease and another one may have started; "
            "it stopped without writing anything more. Scan again"
        )
        self.library_id = library_id


class ScanCancelled(NomarrError):
    """The scan was cancelled before it was done; what it had written stays."""

    def __init__(self, library_id: str) -> None:
        super().__init__("the scan was cancelled; scan again to finish it")
        self.library_id = library_id


class MoveNotFound(NomarrError, LookupError):
    """No event with this number tells of a move."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"there is no move with the number {seq}; 'nomarr moves' shows the moves and their numbers")
        self.seq = seq


class TokenNotFound(NomarrError, LookupError):
    """No token that is good has this id."""

    def __init__(self, token_id: str) -> None:
        super().__init__(
            f"there is no token '{strip_control(token_id)}', or no more; 'nomarr token list' shows the tokens"
        )
        self.token_id = token_id


class TooManyTokens(NomarrError):
    """As many tokens are good as there may be: `most`."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"there are {most:,} tokens, and may not be more; 'nomarr token list' shows them, "
            "'nomarr token revoke ID' makes room"
        )
        self.most = most


class InvalidTokenName(NomarrError, ValueError):
    """A token can't be called so."""

    def __init__(self, name: str, longest: int) -> None:
        super().__init__(f"the name of a token has 1 to {longest} characters, on one line and all of them printable")
        self.name = name


class MoveCannotBeUndone(NomarrError, ValueError):
    """The file is not where the move has put it, or nobody knows where it came from; nothing was changed."""

    def __init__(self, seq: int, reason: str, *, later_seq: int | None = None) -> None:
        advice = (
            "'nomarr events' tells what happened since"
            if later_seq is None
            else f"it has moved again: undo that first, with 'nomarr moves undo {later_seq}'"
        )
        super().__init__(f"move {seq} can't be undone: {strip_control(reason)}; {advice}")
        self.seq = seq
        self.reason = reason
        self.later_seq = later_seq


class TaskAlreadyRunning(NomarrError):
    """A background task of this name is still running."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the task '{name}' is still running; wait for it or cancel it first")
        self.name = name


class DatabaseError(NomarrError):
    """The database refused or failed."""


class DatabaseNotReachable(DatabaseError):
    """The database can't be opened, or stayed locked for longer than we are ready to wait."""


class DatabaseSchemaTooNew(DatabaseError):
    """The database was written by a newer Nomarr."""

    def __init__(self, location: str, found: int, known: int) -> None:
        super().__init__(
            f"{location} was written by a newer Nomarr (schema {found}, this one knows {known}); "
            "update Nomarr, or use another database with --db"
        )
        self.found = found
        self.known = known


class UnfinishedCopy(DatabaseError):
    """A copy into this database was begun and not finished: it holds a part of what the other one holds."""

    def __init__(self, location: str, source: str) -> None:
        super().__init__(
            f"{strip_control(location)} is an unfinished copy of {strip_control(source)}; "
            "finish it with the same 'nomarr db copy', or delete it"
        )
        self.location = location
        self.source = source


class DatabaseInUse(NomarrError):
    """Somebody writes to the database that is to be copied."""

    def __init__(self, location: str, who: str) -> None:
        super().__init__(
            f"{strip_control(location)} is being written to: {strip_control(who)}; "
            "end every 'nomarr watch', 'nomarr serve' and scan on it, and try again"
        )
        self.location = location
        self.who = who


class CopyTargetNotEmpty(NomarrError, ValueError):
    """The database to copy into holds something else."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(
            f"{strip_control(location)} {strip_control(reason)}, and nothing of it is overwritten; "
            "name a new database, or delete that one first"
        )
        self.location = location
        self.reason = reason


class CopyDiffers(NomarrError):
    """All was copied, but the two databases do not hold the same; `tables` says where."""

    def __init__(self, source: str, target: str, tables: Sequence[str]) -> None:
        super().__init__(
            f"{strip_control(target)} is not equal to {strip_control(source)} in {', '.join(tables)}: "
            "something wrote to one of them meanwhile. End every 'nomarr watch' and 'nomarr serve' on both "
            "and copy again, which begins anew"
        )
        self.source = source
        self.target = target
        self.tables = tuple(tables)


class StorageFull(DatabaseError):
    """The disk that holds the database is full."""

    def __init__(self, location: str) -> None:
        super().__init__(f"the disk that holds {location} is full; free some space and scan again, nothing is lost")
        self.location = location


class FingerprintLibraryMissing(NomarrError):
    """Fingerprints can't be compared here: chromaprint's shared library is not installed."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"fingerprints can't be compared: {strip_control(reason)}. "
            "Install the package libchromaprint1 (or chromaprint)"
        )
        self.reason = reason


class ToolError(NomarrError):
    """An external tool gave no answer; `name` is the tool's."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{strip_control(name)} {problem}")
        self.name = name


class ToolMissing(ToolError):
    """The tool is not there, or may not be run."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "is missing or can't be run; 'nomarr doctor' says how to install it")


class ToolTimedOut(ToolError):
    """The tool took too long and was ended."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(name, f"was ended: it took longer than {seconds:g} s; if its file is not damaged, try again")
        self.seconds = seconds


class ToolOutputTooLong(ToolError):
    """The tool wrote more than any answer needs and was ended."""

    def __init__(self, name: str, max_bytes: int) -> None:
        super().__init__(
            name, f"was ended: it wrote more than {max_bytes:,} bytes; look at its file, it may be damaged"
        )
        self.max_bytes = max_bytes
