"""Values with which every query can be explained, and the reasons of those that read a whole collection."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from nomarr.persistence.database import queries

__all__ = ["example_binds", "named_queries", "reads_all_of"]

_HASH: Final = "0" * 64
_ID: Final = "0" * 32
_PLACE: Final = [_HASH, _HASH]
_WRITE: Final = {"key": _HASH, "ins": {"_key": _HASH}, "upd": {}}

_EXAMPLES: Final[Mapping[str, Any]] = {
    "@collection": "library_files",
    "after": _HASH,
    "batch": _ID,
    "before": 0.0,
    "by_clock": False,
    "called_at": 0.0,
    "changes": {},
    "ctime_ns": 0,
    "dead_owner": "nobody",
    "dead_owners": ["nobody"],
    "due_before": 0.0,
    "end": 1,
    "entry_ids": [_ID],
    "events": [{"number": 1, "event": {}}],
    "fence": 1,
    "file_id": _ID,
    "file_ids": [_ID],
    "files": [_WRITE],
    "folder": _HASH,
    "folders": [_HASH],
    "gone_folders": [_PLACE],
    "inode": 1,
    "inodes": [1],
    "job_due_at": 0.0,
    "keep": 1,
    "key": _HASH,
    "keys": [_HASH],
    "lease_seconds": 1.0,
    "libraries": [_HASH],
    "library": _HASH,
    "library_id": _ID,
    "limit": 1,
    "loose_covers": [_ID],
    "mark": "",
    "missing": False,
    "mtime_ns": 0,
    "name": "",
    "now": 0.0,
    "owner": "nobody",
    "place": _HASH,
    "places": [_PLACE],
    "prefix": "",
    "revision": "",
    "revisions": [""],
    "rows": [{"_key": _HASH}],
    "run": {"_key": _HASH},
    "run_key": _HASH,
    "seq": 0,
    "sidecar_keys": [_HASH],
    "sidecars": [_WRITE],
    "size": 0,
    "skew": 0.0,
    "spared": [_ID],
    "started_at": 0.0,
    "status": "complete",
    "step": "art",
    "time": 0.0,
    "token": _ID,
    "unwanted": ["fingerprint"],
    "value": "",
    "values": [_HASH],
    "version": 1,
}
_OTHERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "FILE_PAGES": {"after": ["", _ID]},
    "FORGET_ARRIVALS": {"after": 0},
    "FORGET_DEPARTURES": {"after": 0},
    "FORGET_EVENTS": {"after": 0},
    "PLAYLIST_ENTRIES": {"after": 0},
    "PRUNE_EVENTS": {"after": 0},
    "ADD_LIBRARY": {"library": {"_key": _HASH, "added_by": _ID}},
    "COMMIT": {"folders": [_WRITE]},
    "PURGE": {"folders": [_WRITE]},
    "SWEEP": {"@collection": "library_folders"},
    "SOUNDS_BY_BYTES": {"values": [1]},
    "LENGTHS_IN": {"values": [1]},
}
"""Where a name means something else."""

_SMALL: Final = frozenset(("libraries", "loose_covers", "meta", "settings"))
"""Collections with a few documents: to read all of them is as quick as to look one up."""
_WHOLE: Final[Mapping[str, str]] = {
    "ANY_FILE": "it reads one document, whichever",
    "COUNT_ROWS": "it counts everything, for copies and checks",
    "ORPHANS": "it looks at everything, for `nomarr doctor`",
}
_BIND: Final = re.compile(r"@(@?[a-z_]+)")


def named_queries() -> Iterator[tuple[str, str]]:
    """Every query with its name."""
    for name in queries.__all__:
        text = getattr(queries, name)
        if isinstance(text, str):
            yield name, text
        else:
            for (sort, descending), one in text.items():
                yield f"{name} by {sort}, {'last' if descending else 'first'} ones first", one


def example_binds(name: str, text: str) -> dict[str, Any]:
    """Values of the right form; no document has them."""
    known = {**_EXAMPLES, **_OTHERS.get(name.partition(" ")[0], {})}
    return {bind: known[bind] for bind in _BIND.findall(text)}


def reads_all_of(name: str, collection: str) -> bool:
    """True if the query is meant to read the collection from end to end."""
    return collection in _SMALL or name in _WHOLE
