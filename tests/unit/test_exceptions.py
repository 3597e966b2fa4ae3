"""The one tree of errors: facts as attributes, and a text that says what to do."""

from __future__ import annotations

import inspect

import pytest

from nomarr.helpers import exceptions
from nomarr.helpers.exceptions import (
    ConfigurationError,
    CopyDiffers,
    CopyTargetNotEmpty,
    CoverFolderUnusable,
    DatabaseError,
    DatabaseInUse,
    DatabaseNotReachable,
    DatabaseSchemaTooNew,
    EnrichmentBusy,
    FileNotKnown,
    FingerprintLibraryMissing,
    InvalidPath,
    InvalidTokenName,
    LeaseLost,
    LibraryAlreadyExists,
    LibraryAlreadyScanning,
    LibraryNotFound,
    LibraryOffline,
    MoveCannotBeUndone,
    MoveNotFound,
    NomarrError,
    ScanCancelled,
    StorageFull,
    TaskAlreadyRunning,
    TokenNotFound,
    ToolError,
    ToolMissing,
    ToolOutputTooLong,
    ToolTimedOut,
    TooManyTokens,
    UnfinishedCopy,
)

EVIL = "a\nb\x1b[2J\u202e\udcff"

ERRORS: list[NomarrError] = [
    ConfigurationError("the value is not a number", source="the file x"),
    CoverFolderUnusable(EVIL, EVIL),
    EnrichmentBusy(EVIL),
    InvalidPath(EVIL, "it is absolute"),
    FileNotKnown(EVIL),
    LibraryNotFound(EVIL, ["Music", "Books"]),
    LibraryAlreadyExists(EVIL, EVIL, "that name is taken"),
    LibraryOffline(EVIL, EVIL, "its folder is away"),
    LibraryAlreadyScanning(EVIL, "host|1", 12.0),
    EnrichmentBusy("owner"),
    LeaseLost("id"),
    ScanCancelled("id"),
    TaskAlreadyRunning("scan"),
    MoveNotFound(7),
    MoveCannotBeUndone(7, EVIL),
    TokenNotFound(EVIL),
    TooManyTokens(1000),
    InvalidTokenName(EVIL, 100),
    DatabaseNotReachable("the database can't be opened"),
    DatabaseSchemaTooNew("x.db", 9, 1),
    StorageFull("x.db"),
    UnfinishedCopy(EVIL, EVIL),
    DatabaseInUse(EVIL, EVIL),
    CopyTargetNotEmpty(EVIL, EVIL),
    CopyDiffers(EVIL, EVIL, ["files"]),
    FingerprintLibraryMissing(EVIL),
    ToolMissing(EVIL),
    ToolTimedOut(EVIL, 2.5),
    ToolOutputTooLong(EVIL, 1000),
]


def test_every_error_is_in_the_tree_and_exported() -> None:
    classes = [
        one for _, one in inspect.getmembers(exceptions, inspect.isclass) if one.__module__ == exceptions.__name__
    ]
    assert all(issubclass(one, NomarrError) for one in classes)
    assert sorted(one.__name__ for one in classes) == sorted(exceptions.__all__)
    assert all(one.__doc__ for one in classes)


def test_every_error_is_looked_at_here() -> None:
    looked_at = {type(error) for error in ERRORS} | {NomarrError, DatabaseError, ToolError}
    assert {one.__name__ for one in looked_at} == set(exceptions.__all__)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_text_is_one_printable_line(error: NomarrError) -> None:
    assert str(error)
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (ConfigurationError, ValueError),
        (InvalidPath, ValueError),
        (LibraryNotFound, LookupError),
        (FileNotKnown, LookupError),
        (LibraryAlreadyExists, ValueError),
        (MoveNotFound, LookupError),
        (MoveCannotBeUndone, ValueError),
        (TokenNotFound, LookupError),
        (InvalidTokenName, ValueError),
    ],
)
def test_some_are_what_python_would_call_them(error: type[NomarrError], builtin: type[Exception]) -> None:
    assert issubclass(error, builtin)


def test_database_errors_are_caught_by_one_name() -> None:
    for error in (DatabaseNotReachable, DatabaseSchemaTooNew, StorageFull):
        assert issubclass(error, DatabaseError)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (LibraryNotFound("x"), "nomarr library list"),
        (FileNotKnown("x"), "nomarr files"),
        (LibraryNotFound("x", ["Music"]), "there are: Music"),
        (LibraryOffline("x", "/x", "r"), "nomarr library relocate"),
        (LibraryAlreadyScanning("x", "o", 1.0), "--wait"),
        (DatabaseSchemaTooNew("x", 2, 1), "update Nomarr"),
        (StorageFull("x"), "free some space"),
        (LeaseLost("x"), "Scan again"),
        (UnfinishedCopy("x", "y"), "finish it with the same 'nomarr db copy'"),
        (DatabaseInUse("x", "y"), "end every 'nomarr watch'"),
        (CopyTargetNotEmpty("x", "holds files"), "name a new database"),
        (CopyDiffers("x", "y", ["files"]), "copy again"),
        (EnrichmentBusy("x"), "let it, or end it"),
        (ScanCancelled("x"), "scan again"),
        (FingerprintLibraryMissing("x"), "libchromaprint1"),
        (ToolMissing("x"), "nomarr doctor"),
        (ToolTimedOut("x", 2.5), "longer than 2.5 s"),
        (ToolOutputTooLong("x", 1000), "1,000 bytes"),
        (MoveNotFound(7), "'nomarr moves'"),
        (TokenNotFound("x"), "'nomarr token list'"),
        (TooManyTokens(1000), "'nomarr token revoke ID'"),
        (InvalidTokenName("", 100), "1 to 100 characters"),
        (MoveCannotBeUndone(7, "r"), "'nomarr events'"),
        (MoveCannotBeUndone(7, "r", later_seq=9), "'nomarr moves undo 9'"),
    ],
)
def test_a_text_says_what_to_do(error: NomarrError, advice: str) -> None:
    assert advice in str(error)
