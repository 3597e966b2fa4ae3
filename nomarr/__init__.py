"""Nomarr keeps a music library database true to the disk."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nomarr.app import Nomarr
    from nomarr.config import Config
    from nomarr.helpers.dto.answers import (
        ComparisonProgress,
        DuplicateGroup,
        DuplicateKind,
        Explanation,
        PathState,
        Verification,
    )
    from nomarr.helpers.dto.enrichment import (
        DueWork,
        EnrichmentProgress,
        EnrichmentReport,
        EnrichmentState,
        EnrichmentStep,
    )
    from nomarr.helpers.dto.events import ChangeEvent, EventType
    from nomarr.helpers.dto.file_pages import FilePage, FileQuery, FileSort
    from nomarr.helpers.dto.files import FileRecord, Playlist, PlaylistEntry
    from nomarr.helpers.dto.library import Library, LibraryState, ScanTarget, TranscodePolicy, WatchMode
    from nomarr.helpers.dto.scan import ScanProgress, ScanReport, ScanRun, ScanRunState
    from nomarr.helpers.dto.tags import AudioTags
    from nomarr.helpers.dto.upkeep import PurgedLibrary, PurgeReport, UndoneMove
    from nomarr.helpers.dto.watching import PathChange, WatcherState, WatchMessage, WatchMessageType, WatchStatus
    from nomarr.helpers.exceptions import (
        ConfigurationError,
        CoverFolderUnusable,
        DatabaseError,
        DatabaseNotReachable,
        DatabaseSchemaTooNew,
        EnrichmentBusy,
        FileNotKnown,
        FingerprintLibraryMissing,
        InvalidPath,
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
    )

__all__ = [
    "AudioTags",
    "ChangeEvent",
    "ComparisonProgress",
    "Config",
    "ConfigurationError",
    "CoverFolderUnusable",
    "DatabaseError",
    "DatabaseNotReachable",
    "DatabaseSchemaTooNew",
    "DueWork",
    "DuplicateGroup",
    "DuplicateKind",
    "EnrichmentBusy",
    "EnrichmentProgress",
    "EnrichmentReport",
    "EnrichmentState",
    "EnrichmentStep",
    "EventType",
    "Explanation",
    "FileNotKnown",
    "FilePage",
    "FileQuery",
    "FileRecord",
    "FileSort",
    "FingerprintLibraryMissing",
    "InvalidPath",
    "LeaseLost",
    "Library",
    "LibraryAlreadyExists",
    "LibraryAlreadyScanning",
    "LibraryNotFound",
    "LibraryOffline",
    "LibraryState",
    "MoveCannotBeUndone",
    "MoveNotFound",
    "Nomarr",
    "NomarrError",
    "PathChange",
    "PathState",
    "Playlist",
    "PlaylistEntry",
    "PurgeReport",
    "PurgedLibrary",
    "ScanCancelled",
    "ScanProgress",
    "ScanReport",
    "ScanRun",
    "ScanRunState",
    "ScanTarget",
    "StorageFull",
    "TranscodePolicy",
    "UndoneMove",
    "Verification",
    "WatchMessage",
    "WatchMessageType",
    "WatchMode",
    "WatchStatus",
    "WatcherState",
]

_HOMES = {
    "AudioTags": "nomarr.helpers.dto.tags",
    "ChangeEvent": "nomarr.helpers.dto.events",
    "ComparisonProgress": "nomarr.helpers.dto.answers",
    "Config": "nomarr.config",
    "ConfigurationError": "nomarr.helpers.exceptions",
    "CoverFolderUnusable": "nomarr.helpers.exceptions",
    "DatabaseError": "nomarr.helpers.exceptions",
    "DatabaseNotReachable": "nomarr.helpers.exceptions",
    "DatabaseSchemaTooNew": "nomarr.helpers.exceptions",
    "DueWork": "nomarr.helpers.dto.enrichment",
    "DuplicateGroup": "nomarr.helpers.dto.answers",
    "DuplicateKind": "nomarr.helpers.dto.answers",
    "EnrichmentBusy": "nomarr.helpers.exceptions",
    "EnrichmentProgress": "nomarr.helpers.dto.enrichment",
    "EnrichmentReport": "nomarr.helpers.dto.enrichment",
    "EnrichmentState": "nomarr.helpers.dto.enrichment",
    "EnrichmentStep": "nomarr.helpers.dto.enrichment",
    "EventType": "nomarr.helpers.dto.events",
    "Explanation": "nomarr.helpers.dto.answers",
    "FileNotKnown": "nomarr.helpers.exceptions",
    "FilePage": "nomarr.helpers.dto.file_pages",
    "FileQuery": "nomarr.helpers.dto.file_pages",
    "FileRecord": "nomarr.helpers.dto.files",
    "FileSort": "nomarr.helpers.dto.file_pages",
    "FingerprintLibraryMissing": "nomarr.helpers.exceptions",
    "InvalidPath": "nomarr.helpers.exceptions",
    "LeaseLost": "nomarr.helpers.exceptions",
    "Library": "nomarr.helpers.dto.library",
    "LibraryAlreadyExists": "nomarr.helpers.exceptions",
    "LibraryAlreadyScanning": "nomarr.helpers.exceptions",
    "LibraryNotFound": "nomarr.helpers.exceptions",
    "LibraryOffline": "nomarr.helpers.exceptions",
    "LibraryState": "nomarr.helpers.dto.library",
    "MoveCannotBeUndone": "nomarr.helpers.exceptions",
    "MoveNotFound": "nomarr.helpers.exceptions",
    "Nomarr": "nomarr.app",
    "NomarrError": "nomarr.helpers.exceptions",
    "PathChange": "nomarr.helpers.dto.watching",
    "PathState": "nomarr.helpers.dto.answers",
    "Playlist": "nomarr.helpers.dto.files",
    "PlaylistEntry": "nomarr.helpers.dto.files",
    "PurgeReport": "nomarr.helpers.dto.upkeep",
    "PurgedLibrary": "nomarr.helpers.dto.upkeep",
    "ScanCancelled": "nomarr.helpers.exceptions",
    "ScanProgress": "nomarr.helpers.dto.scan",
    "ScanReport": "nomarr.helpers.dto.scan",
    "ScanRun": "nomarr.helpers.dto.scan",
    "ScanRunState": "nomarr.helpers.dto.scan",
    "ScanTarget": "nomarr.helpers.dto.library",
    "StorageFull": "nomarr.helpers.exceptions",
    "TranscodePolicy": "nomarr.helpers.dto.library",
    "UndoneMove": "nomarr.helpers.dto.upkeep",
    "Verification": "nomarr.helpers.dto.answers",
    "WatchMessage": "nomarr.helpers.dto.watching",
    "WatchMessageType": "nomarr.helpers.dto.watching",
    "WatchMode": "nomarr.helpers.dto.library",
    "WatchStatus": "nomarr.helpers.dto.watching",
    "WatcherState": "nomarr.helpers.dto.watching",
}


def __getattr__(name: str) -> object:
    # Loaded when first used: the processes that read tags import modules of this package but none of these names,
    # and would otherwise each hold the configuration and the database in memory.
    if name not in _HOMES:
        raise AttributeError(f"module 'nomarr' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
