"""Every AQL text, named. `nomarr doctor` explains each of them.

An answer may be lost after the server has done its work, so each query may be sent again: it writes the same once
more, or sees by a token that it has been there. One query is one transaction on a snapshot; of two that write one
document the server lets one win and tells the other (1200), which is sent again. No collection is read after
the query wrote it. Texts are compared by their hashes (`*_key`), as the server compares by ICU collation.
"""

from __future__ import annotations

from typing import Final

from nomarr.helpers.dto.file_pages import FileSort

__all__ = [
    "ADD_LIBRARY",
    "ANY_FILE",
    "CLEAR_COLLECTION",
    "COMMIT",
    "COUNTED_LIBRARIES",
    "COUNT_LONG_MISSING",
    "COUNT_PRESENT",
    "COUNT_ROWS",
    "COUNT_WAITING",
    "COVERS_IN_USE",
    "ENRICHMENT_HOLDER",
    "EVENTS_AFTER",
    "EVENT_AT",
    "FAILED_FILES",
    "FAILED_PLACES",
    "FILES_AT",
    "FILES_IN_FOLDERS",
    "FILES_OF_KEYS",
    "FILES_OF_LIBRARY",
    "FILES_WITH_COVERS",
    "FILE_PAGES",
    "FIND_FILE",
    "FINGERPRINTS",
    "FIRST_KEPT_EVENT",
    "FOLDERS_BELOW",
    "FOLDERS_OF_MISSING",
    "FOLDER_AND_CHILDREN",
    "FORGET_ARRIVALS",
    "FORGET_DEPARTURES",
    "FORGET_EVENTS",
    "FORGET_HELD_BACK",
    "FORGET_LOOSE_COVERS",
    "FORGET_REMOVAL",
    "GET_COPY_MARK",
    "GET_OR_SET_SETTING",
    "GET_SETTING",
    "GIVE_ENRICHMENT_BACK",
    "HASHES_IN",
    "IS_SCAN_RUNNING",
    "JUDGE_LOOSE_COVERS",
    "KEYS_BELOW",
    "KEYS_IN_FOLDERS",
    "KNOWS_ANY_SOUND",
    "LAST_SEQ",
    "LATER_MOVE",
    "LENGTHS_IN",
    "LIBRARIES",
    "LIBRARY_KEYS",
    "LONG_MISSING",
    "LOOK_FOR_COVERS_AGAIN",
    "LOOK_FOR_COVERS_IN",
    "LOOSE_COVERS",
    "MOVES",
    "NEXT_JOBS",
    "OPEN_PLAYLISTS",
    "ORPHANS",
    "PATHS_BELOW",
    "PLAYLISTS",
    "PLAYLIST_ENTRIES",
    "PLAYLIST_PATHS",
    "PRUNE_EVENTS",
    "PRUNE_RUNS",
    "PURGE",
    "PUT_ROWS",
    "RECORDS_OF_KEYS",
    "RECORD_OF_ID",
    "REMOVE_FILES",
    "REMOVE_LIBRARY",
    "REMOVE_OF_LIBRARY",
    "REMOVE_SETTINGS",
    "RENEW_ENRICHMENT",
    "RENEW_LEASE",
    "REPLACE_SETTING",
    "RETRY_FAILED",
    "ROWS_AFTER",
    "SAME_AUDIO",
    "SAMPLE",
    "SCAN_COMPLETED",
    "SCAN_RUNS",
    "SCAN_STARTED",
    "SCHEMA_VERSION",
    "SERVER_TIME",
    "SETTINGS_BELOW",
    "SET_COPY_MARK",
    "SET_LAST_SEQ",
    "SET_SCHEMA_VERSION",
    "SET_SETTING",
    "SIDECARS_BELOW",
    "SIDECARS_IN_FOLDERS",
    "SOUNDS_AT",
    "SOUNDS_BY_BYTES",
    "SOUNDS_BY_HASH",
    "SOUNDS_BY_ID",
    "STORE_ENRICHMENT",
    "SWEEP",
    "TAKE_ENRICHMENT",
    "TEXTS_OF_KEYS",
    "UNFINISHED_REMOVALS",
    "UNHASHED_FILES",
    "UNHEARD_FILES",
    "UPDATE_LEASED",
    "UPDATE_LIBRARY",
    "WANT_CONTENT_HASHES",
    "WANT_FINGERPRINTS",
    "WITH_INODES",
]

# -- parts ------------------------------------------------------------------------------------------------------

# The server's clock judges leases. What is nothing beside a lease is left out. Less than nothing was waited where the
# clock was read so slowly that it is known wrongly.
_BEGUN_AT: Final = """
LET waited = DATE_NOW() / 1000 - @called_at
LET begun_at = waited > 1 OR waited < -1 ? @now + waited : @now
"""
# What only the one process may write that enriches. Writing the lease makes such a query and one that takes it exclude
# each other.
_ENRICHES: Final = f"""{_BEGUN_AT}
LET lease = FIRST(
    FOR m IN meta
        FILTER m._key == "enrichment" AND m.owner == @owner AND m.expires_at > begun_at
        RETURN m
)
"""
_ENRICHED: Final = """
LET fenced = (
    FOR m IN (lease == null ? [] : [lease])
        UPDATE { _key: m._key, _rev: m._rev } WITH { written_by: @token } IN meta OPTIONS { ignoreRevs: false }
        RETURN 1
)
"""
_KNOWN_FILE: Final = """{
    file_id: f.file_id, library_id: f.library_id, path: f.path, path_key: f.path_key, size: f.size,
    mtime_ns: f.mtime_ns, ctime_ns: f.ctime_ns, inode: f.inode, device: f.device, read_at: f.read_at,
    missing_since: f.missing_since, ignored_by: f.ignored_by
}"""
_RECORD: Final = """MERGE(UNSET(f, @unwanted), { has_image: LENGTH(
    FOR s IN library_sidecars
        FILTER s.library_key == f.library_key AND s.folder_key == f.folder_key
        FILTER s.kind == "image" AND s.is_gone == false
        LIMIT 1 RETURN 1
) > 0 })"""
_PRESENT: Final = "f.missing_since == null AND f.ignored_by == null"
# What is left of a library whose removal was begun is shown to nobody.
_REMOVED: Final = """
LET removed = (FOR m IN meta FILTER m.removed_key != null RETURN m.removed_key)
"""
_OFFLINE: Final = f"""{_REMOVED}
LET offline = (FOR l IN libraries FILTER l.offline_reason != null RETURN l._key)
"""
_REACHABLE: Final = f"""
    FILTER f.library_key NOT IN offline AND f.library_key NOT IN removed AND {_PRESENT}
    FILTER @library == null OR f.library_key == @library
"""

# As a plan does it for files that come into another folder.
_LOOK_FOR_COVER_AGAIN: Final = """
    LET is_due = f.due_at != null OR f.processing_status == "complete"
        OR (f.processing_status == "error" AND f.attempts > 0)
    LET due_at = is_due ? MIN([f.due_at || 0, 0]) - 1 : null
    UPDATE f WITH {
        hashed_ctime_ns: f.hashed_size == null ? null : -1, due_at: due_at,
        waits_for: due_at == null ? null : (f.processing_status == "art_done" ? "sound" : "art")
    } IN library_files OPTIONS { keepNull: true }
"""

# As hexadecimal digits texts are in the order of their bytes, whatever the server's locale.
_SORTED_BY: Final = {
    FileSort.PATH: "TO_HEX(f.path)",
    FileSort.TITLE: 'TO_HEX(LOWER(JSON_PARSE(f.tags).title || ""))',
    FileSort.ARTIST: 'TO_HEX(LOWER(JSON_PARSE(f.tags).artist || ""))',
    FileSort.ALBUM: 'TO_HEX(LOWER(JSON_PARSE(f.tags).album || ""))',
    FileSort.SIZE: "f.size",
    FileSort.CHANGED: "f.mtime_ns",
    FileSort.ADDED: "f.first_seen_at",
}

# What was completed without an attempt at a fingerprint, or without hashes of the whole file.
_UNHEARD: Final = (
    'f.processing_status == "complete" AND f.fingerprint_seconds == null AND f.due_at == null AND f.hashed_size != null'
)
_UNHASHED: Final = (
    'f.processing_status == "complete" AND f.content_xxh3 == null AND f.due_at == null AND f.hashed_size != null'
)

# -- the server and the schema ----------------------------------------------------------------------------------

SERVER_TIME: Final = "RETURN DATE_NOW()"
SCHEMA_VERSION: Final = 'RETURN FIRST(FOR m IN meta FILTER m._key == "schema" RETURN m.version)'
SET_SCHEMA_VERSION: Final = """
UPSERT { _key: "schema" } INSERT { _key: "schema", version: @version } UPDATE { version: MAX([OLD.version, @version]) }
IN meta
"""
ORPHANS: Final = f"""{_REMOVED}
LET known = (FOR l IN libraries RETURN l._key)
FOR f IN @@collection
    FILTER f.library_key NOT IN known AND f.library_key NOT IN removed
    COLLECT library_id = f.library_id WITH COUNT INTO rows
    RETURN {{ library_id, rows }}
"""

# -- libraries and leases ---------------------------------------------------------------------------------------

# `added_by` tells the library that an earlier attempt has added from another one of that id.
ADD_LIBRARY: Final = """
LET added = LENGTH(FOR l IN libraries FILTER l._key == @library._key AND l.added_by == @library.added_by RETURN 1)
FOR new IN (added == 0 ? [@library] : [])
    INSERT new INTO libraries
"""
LIBRARY_KEYS: Final = """
FOR l IN libraries FILTER @libraries == null OR l._key IN @libraries RETURN l._key
"""
LIBRARIES: Final = "FOR l IN libraries FILTER @library == null OR l._key == @library RETURN l"
COUNTED_LIBRARIES: Final = """
FOR l IN libraries
    FILTER @library == null OR l._key == @library
    LET of_all = LENGTH(FOR f IN library_files FILTER f.library_key == l._key RETURN 1)
    LET present = LENGTH(
        FOR f IN library_files
            FILTER f.library_key == l._key AND f.missing_since == null AND f.ignored_by == null
            RETURN 1
    )
    LET missing = LENGTH(
        FOR f IN library_files
            FILTER f.library_key == l._key AND f.missing_since > null AND f.ignored_by == null
            RETURN 1
    )
    RETURN MERGE(l, { rows_of_all: of_all, rows_absent: of_all - present, rows_missing: missing })
"""
UPDATE_LIBRARY: Final = """
FOR l IN libraries
    FILTER l._key == @library
    UPDATE l WITH @changes IN libraries OPTIONS { keepNull: true, mergeObjects: false }
"""
UPDATE_LEASED: Final = f"""{_BEGUN_AT}
FOR l IN libraries
    FILTER l._key == @library AND l.scan_owner == @owner AND l.scan_fence == @fence AND l.scan_expires_at > begun_at
    UPDATE {{ _key: l._key, _rev: l._rev }} WITH @changes IN libraries
        OPTIONS {{ keepNull: true, mergeObjects: false, ignoreRevs: false }}
    RETURN 1
"""
RENEW_LEASE: Final = f"""{_BEGUN_AT}
FOR l IN libraries
    FILTER l._key == @library AND l.scan_owner == @owner AND l.scan_fence == @fence AND l.scan_expires_at > begun_at
    UPDATE {{ _key: l._key, _rev: l._rev }} WITH {{ scan_expires_at: begun_at + @lease_seconds }} IN libraries
        OPTIONS {{ ignoreRevs: false }}
    RETURN 1
"""
# A scan that begins meanwhile writes the same document, so one of the two is sent again.
FORGET_HELD_BACK: Final = f"""{_BEGUN_AT}
LET library = FIRST(FOR l IN libraries FILTER l._key == @library RETURN l)
LET is_free = library != null AND (
    library.scan_owner == null OR library.scan_owner IN @dead_owners OR library.scan_expires_at <= begun_at
)
LET forgotten = (
    FOR l IN (is_free ? [library] : [])
        UPDATE {{ _key: l._key, _rev: l._rev }} WITH {{ held_back: null }} IN libraries
            OPTIONS {{ keepNull: true, ignoreRevs: false }}
        RETURN 1
)
FOR l IN (library == null OR is_free ? [] : [library])
    RETURN {{ name: l.name, owner: l.scan_owner, expires_at: l.scan_expires_at }}
"""
# `scan_token` tells the lease that an earlier attempt has taken.
SCAN_STARTED: Final = f"""{_BEGUN_AT}
LET started_at = (@by_clock ? begun_at : @now) - @skew
LET library = FIRST(FOR l IN libraries FILTER l._key == @library RETURN l)
LET is_taken = library != null AND library.scan_token == @token
LET is_free = library != null AND !is_taken AND (
    library.scan_owner == null OR library.scan_owner == @dead_owner OR library.scan_expires_at <= begun_at
)
LET interrupted = (
    FOR s IN scan_runs
        FILTER is_free AND library.scan_state == "running" AND s._key == library.scan_key
        RETURN {{ key: s._key, ins: s, upd: {{ state: "interrupted", ended_at: started_at }} }}
)
LET run = MERGE(@run, {{
    started_at: started_at, inserted_at: DATE_NOW(), fence: library.scan_fence + 1
}})
LET runs = (
    FOR r IN (is_free ? APPEND(interrupted, [{{ key: run._key, ins: run, upd: run }}]) : [])
        UPSERT {{ _key: r.key }} INSERT r.ins UPDATE r.upd IN scan_runs
            OPTIONS {{ keepNull: true, mergeObjects: false }}
        RETURN 1
)
LET taken = (
    FOR l IN (is_free ? [library] : [])
        UPDATE {{ _key: l._key, _rev: l._rev }} WITH MERGE(@changes, {{
            scan_token: @token, scan_expires_at: begun_at + @lease_seconds, scan_fence: l.scan_fence + 1,
            last_scan_started_at: started_at
        }}) IN libraries OPTIONS {{ keepNull: true, mergeObjects: false, ignoreRevs: false }}
        RETURN 1
)
RETURN {{
    fence: is_taken ? library.scan_fence : (is_free ? library.scan_fence + 1 : null),
    started_at: is_taken ? library.last_scan_started_at : started_at
}}
"""
SCAN_COMPLETED: Final = """
LET library = FIRST(
    FOR l IN libraries
        FILTER l._key == @library AND l.scan_owner == @owner AND l.scan_fence == @fence
        RETURN l
)
LET runs = (
    FOR s IN scan_runs
        FILTER library != null AND s._key == library.scan_key
        UPDATE s WITH @run IN scan_runs OPTIONS { keepNull: true, mergeObjects: false }
        RETURN 1
)
FOR l IN (library == null ? [] : [library])
    UPDATE { _key: l._key, _rev: l._rev } WITH @changes IN libraries
        OPTIONS { keepNull: true, mergeObjects: false, ignoreRevs: false }
"""
# Removed first, so that a scan that still runs writes nothing more.
REMOVE_LIBRARY: Final = """
LET begun = (
    FOR key IN [@key]
        UPSERT { _key: key }
        INSERT { _key: key, removed_id: @library_id, removed_key: @library }
        UPDATE {} IN meta
        RETURN 1
)
FOR l IN libraries FILTER l._key == @library REMOVE l IN libraries
"""
UNFINISHED_REMOVALS: Final = "FOR m IN meta FILTER m.removed_id != null RETURN m.removed_id"
FORGET_REMOVAL: Final = "FOR m IN meta FILTER m._key == @key REMOVE m IN meta"
REMOVE_FILES: Final = """
LET doomed = (
    FOR f IN library_files
        FILTER f.library_key == @library AND f.path_key > @after
        SORT f.path_key
        LIMIT @limit
        RETURN { key: f._key, path_key: f.path_key, cover_id: f.cover_id }
)
LET loosened = (
    FOR cover_id IN UNIQUE(doomed[*].cover_id)
        FILTER cover_id != null
        UPSERT { _key: cover_id } INSERT { _key: cover_id } UPDATE {} IN loose_covers
        RETURN 1
)
FOR d IN doomed
    REMOVE { _key: d.key } IN library_files
    RETURN [d.path_key]
"""
REMOVE_OF_LIBRARY: Final = """
FOR d IN @@collection
    FILTER d.library_key == @library
    LIMIT @limit
    REMOVE d IN @@collection
    RETURN 1
"""

# -- the one query that writes files ----------------------------------------------------------------------------

# The plan was made from what is known of the rows that it touches. If they are others by now, or if more have to be
# known, nothing is written, and they are told: the next plan is made from them. `last_batch` tells that an earlier
# attempt has written it; writing it makes this query and one that takes the lease exclude each other.
_CHECKED: Final = f"""{_BEGUN_AT}
LET involved = (FOR l IN libraries FILTER l._key IN @libraries RETURN l)
LET is_written = LENGTH(FOR l IN involved FILTER l.last_batch == @batch RETURN 1) > 0
LET refused = (
    FOR l IN involved
        FILTER @owner == null
            ? (l.scan_owner != null AND l.scan_expires_at > begun_at AND l.scan_owner NOT IN @dead_owners)
            : !(l.scan_owner == @owner AND l.scan_fence == @fence AND l.scan_expires_at > begun_at)
        RETURN {{ name: l.name, owner: l.scan_owner, expires_at: l.scan_expires_at }}
)
LET is_allowed = LENGTH(refused) == 0 AND LENGTH(involved) == LENGTH(@libraries)
LET at_places = (
    FOR p IN @places
        FOR f IN library_files
            FILTER f.library_key == p[0] AND f.path_key == p[1]
            RETURN f
)
LET of_ids = (FOR f IN library_files FILTER f.file_id IN @file_ids RETURN f)
LET of_keys = (FOR s IN library_sidecars FILTER s._key IN @sidecar_keys RETURN s)
LET with_entries = (
    FOR file_id IN @entry_ids
        FOR s IN library_sidecars
            FILTER file_id IN s.entries[*].file_id
            RETURN s
)
LET revisions = UNIQUE(UNION(
    at_places[*]._rev, of_ids[*]._rev, of_keys[*]._rev, with_entries[*]._rev
))
LET is_known = LENGTH(revisions) == LENGTH(@revisions)
    AND LENGTH(FOR r IN revisions FILTER r NOT IN @revisions RETURN 1) == 0
LET is_written_now = is_allowed AND is_known AND !is_written
LET gone_folders = (
    FOR p IN @gone_folders
        FOR d IN library_folders
            FILTER d.library_key == p[0] AND p[1] IN d.within[*]
            FILTER d._key NOT IN @folders[*].key
            COLLECT key = d._key
            RETURN {{ key: key, ins: {{ _key: key }}, upd: {{ is_gone: true, digest: "" }} }}
)
LET last_seq = FIRST(FOR m IN meta FILTER m._key == "events" RETURN m.last_seq) || 0
"""
_WRITTEN: Final = """
LET fenced = (
    FOR l IN (is_written_now ? involved : [])
        UPDATE { _key: l._key, _rev: l._rev } WITH { last_batch: @batch } IN libraries OPTIONS { ignoreRevs: false }
        RETURN 1
)
LET folders = (
    FOR w IN (is_written_now ? UNION(@folders, gone_folders) : [])
        UPSERT { _key: w.key } INSERT w.ins UPDATE w.upd IN library_folders
            OPTIONS { keepNull: true, mergeObjects: false, readOwnWrites: false }
        RETURN 1
)
LET sidecars = (
    FOR w IN (is_written_now ? @sidecars : [])
        UPSERT { _key: w.key } INSERT w.ins UPDATE w.upd IN library_sidecars
            OPTIONS { keepNull: true, mergeObjects: false, readOwnWrites: false }
        RETURN 1
)
LET told = (
    FOR e IN (is_written_now ? @events : [])
        INSERT MERGE(e.event, { _key: CONCAT("", last_seq + e.number), seq: last_seq + e.number }) INTO events
        RETURN 1
)
LET counted = (
    FOR number IN (is_written_now AND LENGTH(@events) > 0 ? [last_seq + LENGTH(@events)] : [])
        UPSERT { _key: "events" } INSERT { _key: "events", last_seq: number } UPDATE { last_seq: number } IN meta
        RETURN 1
)
LET loosened = (
    FOR cover_id IN (is_written_now ? @loose_covers : [])
        UPSERT { _key: cover_id } INSERT { _key: cover_id } UPDATE {} IN loose_covers
        RETURN 1
)
LET must_tell = is_allowed AND !is_known AND !is_written
RETURN {
    is_written: is_written OR is_written_now,
    is_allowed: is_allowed,
    refused: refused,
    files: must_tell ? UNION(at_places, of_ids) : [],
    sidecars: must_tell ? UNION(of_keys, with_entries) : []
}
"""
COMMIT: Final = f"""{_CHECKED}
LET files = (
    FOR w IN (is_written_now ? @files : [])
        UPSERT {{ _key: w.key }} INSERT w.ins UPDATE w.upd IN library_files
            OPTIONS {{ keepNull: true, mergeObjects: false, readOwnWrites: false }}
        RETURN 1
)
{_WRITTEN}"""
PURGE: Final = f"""{_CHECKED}
LET files = (
    FOR w IN (is_written_now ? @files : [])
        REMOVE {{ _key: w.key }} IN library_files
        RETURN 1
)
{_WRITTEN}"""
SWEEP: Final = "FOR d IN @@collection FILTER d.is_gone == true LIMIT @limit REMOVE d IN @@collection RETURN 1"

# -- files ------------------------------------------------------------------------------------------------------

ANY_FILE: Final = "FOR f IN library_files LIMIT 1 RETURN 1"
FILES_IN_FOLDERS: Final = f"""
FOR folder IN @folders
    FOR f IN library_files
        FILTER f.library_key == @library AND f.folder_key == folder
        RETURN {_KNOWN_FILE}
"""
# Without `within`: its index would give the files of a page in no order.
FILES_OF_LIBRARY: Final = f"""
FOR f IN library_files
    FILTER f.library_key == @library AND f.path_key > @after
    SORT f.path_key
    LIMIT @limit
    RETURN {_KNOWN_FILE}
"""
# An index on an array gives no order, so a page at a time would read the rest of the folder for each. Without a hint
# the server takes the index of a large library's paths once the query has a range of them, and reads all of it.
KEYS_BELOW: Final = """
FOR f IN library_files OPTIONS { indexHint: "within_1" }
    FILTER f.library_key == @library AND @folder IN f.within[*]
    RETURN f._key
"""
FILES_OF_KEYS: Final = f"""
FOR f IN library_files OPTIONS {{ indexHint: "primary" }}
    FILTER f._key IN @keys AND f.library_key == @library AND @folder IN f.within[*]
    RETURN {_KNOWN_FILE}
"""
WITH_INODES: Final = f"""{_REMOVED}
FOR f IN library_files FILTER f.inode IN @inodes AND f.library_key NOT IN removed RETURN {_KNOWN_FILE}
"""
# Keys are hashes: the first ones are a choice from everywhere, and always the same.
SAMPLE: Final = f"""
FOR f IN library_files
    FILTER f.library_key == @library AND {_PRESENT}
    SORT f.path_key
    LIMIT @limit
    RETURN {_KNOWN_FILE}
"""
COUNT_PRESENT: Final = f"""
RETURN LENGTH(FOR f IN library_files FILTER f.library_key == @library AND {_PRESENT} RETURN 1)
"""
FIND_FILE: Final = f"""
FOR f IN library_files
    FILTER f.library_key == @library AND f.folder_key == @folder AND f.place_key == @place
    SORT f.path_key == @place DESC, f.updated_at DESC
    LIMIT 1
    RETURN {_RECORD}
"""
PATHS_BELOW: Final = """
FOR f IN library_files
    FILTER f.library_key == @library AND @folder IN f.within[*] AND f.ignored_by == null
    FILTER (f.missing_since != null) == @missing
    RETURN [f.path, f.file_id, f._key]
"""
RECORDS_OF_KEYS: Final = f"""
FOR f IN library_files OPTIONS {{ indexHint: "primary" }}
    FILTER f._key IN @keys AND f.ignored_by == null AND (@library == null OR f.library_key == @library)
    FILTER (f.missing_since != null) == @missing
    RETURN {_RECORD}
"""
TEXTS_OF_KEYS: Final = """
FOR f IN library_files OPTIONS { indexHint: "primary" } FILTER f._key IN @keys RETURN [f._key, f.path, f.tags]
"""
RECORD_OF_ID: Final = f"""{_REMOVED}
FOR f IN library_files FILTER f.file_id == @file_id AND f.library_key NOT IN removed RETURN {_RECORD}
"""
FILE_PAGES: Final = {
    (sort, descending): f"""{_REMOVED}
FOR f IN library_files
    FILTER @library == null OR f.library_key == @library
    FILTER f.library_key NOT IN removed
    FILTER @folder IN f.within[*] AND f.ignored_by == null AND (f.missing_since != null) == @missing
    FILTER @status == null OR f.processing_status == @status
    LET value = {value}
    FILTER @after == null OR value {follows} @after[0] OR (value == @after[0] AND f.file_id {follows} @after[1])
    SORT value {direction}, f.file_id {direction}
    LIMIT @limit
    RETURN [value, f.file_id, f._key]
"""
    for sort, value in _SORTED_BY.items()
    for descending, follows, direction in ((False, ">", "ASC"), (True, "<", "DESC"))
}
"""By what is sorted by, and whether the last one comes first."""
FILES_AT: Final = """
FOR p IN @places
    FOR f IN library_files
        FILTER f.library_key == p[0] AND f.path_key == p[1]
        RETURN { library_key: f.library_key, path_key: f.path_key, file_id: f.file_id }
"""
COUNT_LONG_MISSING: Final = """
RETURN LENGTH(
    FOR f IN library_files
        FILTER f.library_key == @library AND f.missing_since > null AND f.missing_since <= @before
        RETURN 1
)
"""
LONG_MISSING: Final = """
FOR f IN library_files
    FILTER f.library_key == @library AND f.missing_since > null AND f.missing_since <= @before
    FILTER f.file_id NOT IN @spared
    SORT f.missing_since
    LIMIT @limit
    RETURN { file_id: f.file_id, path: f.path, path_key: f.path_key }
"""

# -- folders and sidecars ---------------------------------------------------------------------------------------

FOLDERS_BELOW: Final = """
FOR d IN library_folders
    FILTER d.library_key == @library AND @folder IN d.within[*] AND d.is_gone == false
    RETURN [d.path, d.digest, d.scanned_at, d.on_other_device]
"""
FOLDER_AND_CHILDREN: Final = """
LET itself = (FOR d IN library_folders FILTER d._key == @key RETURN d)
LET children = (FOR d IN library_folders FILTER d.library_key == @library AND d.parent_key == @folder RETURN d)
FOR d IN UNION(itself, children)
    FILTER d.is_gone == false
    RETURN [d.path, d.digest, d.scanned_at, d.on_other_device]
"""
SIDECARS_IN_FOLDERS: Final = """
FOR folder IN @folders
    FOR s IN library_sidecars
        FILTER s.library_key == @library AND s.folder_key == folder AND s.is_gone == false
        RETURN [s.path, s.size, s.mtime_ns, s.ctime_ns, s.inode]
"""
SIDECARS_BELOW: Final = """
FOR s IN library_sidecars
    FILTER s.library_key == @library AND @folder IN s.within[*] AND s.is_gone == false
    RETURN s.path
"""
PLAYLIST_PATHS: Final = """
FOR s IN library_sidecars
    FILTER s.library_key == @library AND s.kind == "playlist" AND s.is_gone == false
    RETURN [s.path, s._key, s.problem]
"""
PLAYLISTS: Final = """
FOR s IN library_sidecars
    FILTER s._key IN @keys AND s.is_gone == false
    LET known = (FOR f IN library_files FILTER f.file_id IN s.entries[*].file_id RETURN f.file_id)
    RETURN { path: s.path, problem: s.problem, entries: s.entries, known: known }
"""
PLAYLIST_ENTRIES: Final = """
FOR s IN library_sidecars
    FILTER s._key == @key AND s.kind == "playlist" AND s.is_gone == false
    LET entries = SLICE(s.entries, @after, @limit)
    LET known = (FOR f IN library_files FILTER f.file_id IN entries[*].file_id RETURN f.file_id)
    RETURN { entries: entries, known: known }
"""
OPEN_PLAYLISTS: Final = """
FOR s IN library_sidecars
    FILTER s.is_open == true AND s.is_gone == false
    RETURN { key: s._key, entries: s.entries }
"""

# -- events, runs and settings ----------------------------------------------------------------------------------

EVENTS_AFTER: Final = """
FOR e IN events
    FILTER e.seq > @seq
    FILTER @library == null OR e.library_key == @library OR e.old_library_key == @library
    FILTER @file_id == null OR e.file_id == @file_id
    SORT e.seq
    LIMIT @limit
    RETURN e
"""
EVENT_AT: Final = "FOR e IN events FILTER e.seq == @seq RETURN e"
MOVES: Final = """
FOR e IN events
    FILTER e.is_move == true
    FILTER @library == null OR e.library_key == @library OR e.old_library_key == @library
    SORT e.seq DESC
    LIMIT @limit
    RETURN e
"""
LAST_SEQ: Final = 'RETURN FIRST(FOR m IN meta FILTER m._key == "events" RETURN m.last_seq) || 0'
# By number up to the first one that is young enough, so that no index on the time is needed.
FIRST_KEPT_EVENT: Final = """
LET young = FIRST(FOR e IN events SORT e.seq FILTER e.time >= @before LIMIT 1 RETURN e.seq)
LET newest = FIRST(FOR e IN events SORT e.seq DESC LIMIT 1 RETURN e.seq)
RETURN young == null ? (newest || 0) + 1 : young
"""
PRUNE_EVENTS: Final = """
FOR e IN events
    FILTER e.seq > @after AND e.seq < @end
    SORT e.seq
    LIMIT @limit
    REMOVE e IN events
    RETURN [OLD.seq]
"""
# The feed forgets a library: what happened in it; then what went into it from another one, which lost a file so; then
# what came out of it into another one, which got a file so.
_EVENTS_BEHIND: Final = """
FOR e IN events
    FILTER e.seq > @after
"""
FORGET_EVENTS: Final = f"""{_EVENTS_BEHIND}
    FILTER e.library_key == @library AND (e.old_library_key == null OR e.old_library_key == @library)
    SORT e.seq
    LIMIT @limit
    REMOVE e IN events
    RETURN [OLD.seq]
"""
FORGET_DEPARTURES: Final = f"""{_EVENTS_BEHIND}
    FILTER e.library_key == @library
    SORT e.seq
    LIMIT @limit
    UPDATE e WITH {{
        type: "removed", is_move: false, library_id: e.old_library_id, library_key: e.old_library_key, path: e.old_path,
        place_key: null, old_library_id: null, old_library_key: null, old_path: null, evidence: null
    }} IN events OPTIONS {{ keepNull: true, mergeObjects: false }}
    RETURN [OLD.seq]
"""
FORGET_ARRIVALS: Final = f"""{_EVENTS_BEHIND}
    FILTER e.old_library_key == @library
    SORT e.seq
    LIMIT @limit
    UPDATE e WITH {{
        type: "created", is_move: false, old_library_id: null, old_library_key: null, old_path: null, evidence: null
    }} IN events OPTIONS {{ keepNull: true, mergeObjects: false }}
    RETURN [OLD.seq]
"""
LATER_MOVE: Final = """
FOR e IN events
    FILTER e.file_id == @file_id AND e.is_move == true AND e.seq > @seq
    LET there = (
        FOR f IN library_files
            FILTER f.file_id == e.file_id AND f.library_key == e.library_key AND f.place_key == e.place_key
            RETURN 1
    )
    SORT e.seq DESC
    RETURN { seq: e.seq, is_there: LENGTH(there) > 0 }
"""
SCAN_RUNS: Final = f"""{_REMOVED}
LET tied = FIRST(FOR s IN scan_runs FILTER s._key == @run_key RETURN [s.inserted_at, s.fence])
FOR s IN scan_runs
    FILTER @library == null OR s.library_key == @library
    FILTER s.library_key NOT IN removed
    FILTER @run_key == null OR s.started_at < @started_at
        OR (s.started_at == @started_at AND [s.inserted_at, s.fence] < tied)
    SORT s.started_at DESC, s.inserted_at DESC, s.fence DESC
    LIMIT @limit
    RETURN s
"""
PRUNE_RUNS: Final = """
LET old = (
    FOR l IN libraries
        FOR key IN (
            FOR s IN scan_runs
                FILTER s.library_key == l._key
                SORT s.started_at DESC, s.inserted_at DESC, s.fence DESC
                LIMIT @keep, 1000000
                RETURN s._key
        )
        RETURN key
)
FOR key IN old
    REMOVE { _key: key } IN scan_runs
"""
GET_SETTING: Final = "FOR s IN settings FILTER s._key == @key RETURN { value: s.value, revision: s._rev }"
SET_SETTING: Final = """
UPSERT { _key: @key } INSERT { _key: @key, name: @name, value: @value } UPDATE { value: @value } IN settings
"""
GET_OR_SET_SETTING: Final = """
UPSERT { _key: @key } INSERT { _key: @key, name: @name, value: @value } UPDATE {} IN settings
    OPTIONS { exclusive: true }
RETURN NEW.value
"""
REPLACE_SETTING: Final = """
FOR s IN settings
    FILTER s._key == @key AND s._rev == @revision
    UPDATE { _key: s._key, _rev: s._rev } WITH { value: @value } IN settings OPTIONS { ignoreRevs: false }
    RETURN 1
"""
SETTINGS_BELOW: Final = "FOR s IN settings FILTER STARTS_WITH(s.name, @prefix) RETURN [s.name, s.value]"
REMOVE_SETTINGS: Final = "FOR s IN settings FILTER s._key IN @keys REMOVE s IN settings"

# -- enrichment -------------------------------------------------------------------------------------------------

ENRICHMENT_HOLDER: Final = 'FOR m IN meta FILTER m._key == "enrichment" AND m.owner != null RETURN m.owner'
TAKE_ENRICHMENT: Final = f"""{_BEGUN_AT}
LET held = FIRST(FOR m IN meta FILTER m._key == "enrichment" RETURN m)
LET is_free = held == null OR held.owner == null OR held.owner IN [@owner, @dead_owner] OR held.expires_at <= begun_at
FOR expires_at IN (is_free ? [begun_at + @lease_seconds] : [])
    UPSERT {{ _key: "enrichment" }}
    INSERT {{ _key: "enrichment", owner: @owner, expires_at: expires_at }}
    UPDATE {{ owner: @owner, expires_at: expires_at }} IN meta
    RETURN 1
"""
RENEW_ENRICHMENT: Final = f"""{_BEGUN_AT}
FOR m IN meta
    FILTER m._key == "enrichment" AND m.owner == @owner
    UPDATE {{ _key: m._key, _rev: m._rev }} WITH {{ expires_at: begun_at + @lease_seconds }} IN meta
        OPTIONS {{ ignoreRevs: false }}
    RETURN 1
"""
GIVE_ENRICHMENT_BACK: Final = """
FOR m IN meta
    FILTER m._key == "enrichment" AND m.owner == @owner
    UPDATE m WITH { owner: null, expires_at: null } IN meta OPTIONS { keepNull: true }
"""
IS_SCAN_RUNNING: Final = f"""{_BEGUN_AT}
FOR l IN libraries FILTER l.scan_owner != null AND l.scan_expires_at > begun_at LIMIT 1 RETURN 1
"""
NEXT_JOBS: Final = f"""{_OFFLINE}
FOR f IN library_files
    FILTER f.waits_for == @step AND f.due_at <= @due_before
    {_REACHABLE}
    SORT f.first_seen_at DESC
    LIMIT @limit
    RETURN f
"""
COUNT_WAITING: Final = f"""{_OFFLINE}
LET art = (FOR f IN library_files FILTER f.waits_for == "art" {_REACHABLE} RETURN f.due_at)
LET sound = (FOR f IN library_files FILTER f.waits_for == "sound" {_REACHABLE} RETURN f.due_at)
LET failed = (FOR f IN library_files FILTER f.processing_status == "error" {_REACHABLE} RETURN f.due_at == null)
LET later = (FOR due_at IN UNION(art, sound) FILTER due_at > @due_before RETURN due_at)
RETURN {{
    art: LENGTH(FOR due_at IN art FILTER due_at <= @due_before RETURN 1),
    sound: LENGTH(FOR due_at IN sound FILTER due_at <= @due_before RETURN 1),
    later: LENGTH(later),
    next_due_at: MIN(later),
    failed: LENGTH(failed),
    given_up: LENGTH(FOR is_final IN failed FILTER is_final RETURN 1)
}}
"""
FAILED_FILES: Final = f"""{_OFFLINE}
FOR f IN library_files
    FILTER f.processing_status == "error" AND {_PRESENT}
    FILTER f.library_key NOT IN offline AND f.library_key NOT IN removed
    RETURN [f.library_id, f.path, f._key]
"""
# What is wanted of many files is first looked for, by indexes out of which it goes once it is written, and then written
# by keys: `wanted_by` tells what an earlier attempt has written, and nobody has to look for that.
UNHEARD_FILES: Final = f"""
FOR f IN library_files OPTIONS {{ indexHint: "unheard_1" }}
    FILTER {_UNHEARD}
    LIMIT @limit
    RETURN f._key
"""
WANT_FINGERPRINTS: Final = f"""
FOR f IN library_files OPTIONS {{ indexHint: "primary" }}
    FILTER f._key IN @keys
    FILTER ({_UNHEARD}) OR f.wanted_by == @token
    UPDATE f WITH {{ processing_status: "art_done", waits_for: "sound", due_at: @time, wanted_by: @token }}
    IN library_files
    RETURN 1
"""
UNHASHED_FILES: Final = f"""
FOR f IN library_files OPTIONS {{ indexHint: "unhashed_1" }}
    FILTER {_UNHASHED}
    LIMIT @limit
    RETURN f._key
"""
WANT_CONTENT_HASHES: Final = f"""
FOR f IN library_files OPTIONS {{ indexHint: "primary" }}
    FILTER f._key IN @keys
    FILTER ({_UNHASHED}) OR f.wanted_by == @token
    UPDATE f WITH {{ waits_for: "art", due_at: -1, wanted_by: @token }} IN library_files
    RETURN 1
"""
# In the order of an index, as those that are to be tried again stay failed until they are.
FAILED_PLACES: Final = """
FOR f IN library_files OPTIONS { indexHint: "by_status_1" }
    FILTER f.processing_status == "error" AND f.library_key == @library AND f.path_key > @after
    SORT f.path_key
    LIMIT @limit
    RETURN [f.path_key, f._key, f.attempts > 0]
"""
RETRY_FAILED: Final = """
FOR f IN library_files OPTIONS { indexHint: "primary" }
    FILTER f._key IN @keys
    FILTER (f.processing_status == "error" AND f.attempts > 0) OR f.wanted_by == @token
    UPDATE f WITH { due_at: @time, attempts: 0, waits_for: "art", wanted_by: @token } IN library_files
    RETURN 1
"""
# `stored_by` tells what an earlier attempt has stored.
STORE_ENRICHMENT: Final = f"""{_ENRICHES}
LET stored = (
    FOR f IN library_files
        FILTER f.file_id == @file_id
        FILTER f.stored_by == @token OR (
            lease != null AND f.size == @size AND f.mtime_ns == @mtime_ns AND f.ctime_ns == @ctime_ns
            AND f.inode == @inode AND (@job_due_at == null OR f.due_at == @job_due_at)
        )
        UPDATE f WITH MERGE(@changes, {{ stored_by: @token }}) IN library_files
            OPTIONS {{ keepNull: true, mergeObjects: false }}
        RETURN {{ before: OLD.cover_id, after: NEW.cover_id }}
)
LET loosened = (
    FOR c IN stored
        FILTER c.before != null AND c.before != c.after
        UPSERT {{ _key: c.before }} INSERT {{ _key: c.before }} UPDATE {{}} IN loose_covers
        RETURN 1
)
{_ENRICHED}
RETURN {{ is_held: lease != null, is_stored: LENGTH(stored) > 0 }}
"""
KNOWS_ANY_SOUND: Final = "FOR f IN library_files FILTER f.audio_bytes > null LIMIT 1 RETURN 1"
LENGTHS_IN: Final = """
FOR f IN library_files
    FILTER f.audio_bytes IN @values
    COLLECT found = f.audio_bytes WITH COUNT INTO files
    RETURN [found, files]
"""
HASHES_IN: Final = """
FOR f IN library_files
    FILTER f.audio_hash IN @values
    COLLECT found = f.audio_hash WITH COUNT INTO files
    RETURN [found, files]
"""
SOUNDS_BY_BYTES: Final = f"""{_REMOVED}
FOR f IN library_files
    FILTER f.audio_bytes IN @values AND f.audio_hash != null AND f.library_key NOT IN removed
    RETURN UNSET(f, "tags")
"""
SOUNDS_BY_HASH: Final = f"""{_REMOVED}
FOR f IN library_files FILTER f.audio_hash IN @values AND f.library_key NOT IN removed RETURN UNSET(f, "tags")
"""
SOUNDS_BY_ID: Final = f"""{_REMOVED}
FOR f IN library_files FILTER f.file_id IN @values AND f.library_key NOT IN removed RETURN f
"""
SOUNDS_AT: Final = """
FOR path_key IN @values
    FOR f IN library_files
        FILTER f.library_key == @library AND f.path_key == path_key
        FILTER f.missing_since != null AND f.fingerprint != null
        RETURN f
"""
FOLDERS_OF_MISSING: Final = """
FOR folder IN @folders
    FOR f IN library_files
        FILTER f.library_key == @library AND f.folder_key == folder AND f.missing_since != null
        COLLECT found = folder
        RETURN found
"""
SAME_AUDIO: Final = f"""
FOR f IN library_files
    FILTER f.library_key == @library AND f.audio_hash != null AND {_PRESENT}
    COLLECT audio_hash = f.audio_hash INTO files = [f.path, f._key]
    FILTER LENGTH(files) > 1
    RETURN files
"""
FINGERPRINTS: Final = f"""
FOR f IN library_files
    FILTER f.library_key == @library AND f.fingerprint != null AND {_PRESENT}
    RETURN [f.file_id, f.fingerprint, f.fingerprint_seconds]
"""
COVERS_IN_USE: Final = """
FOR f IN library_files FILTER f.cover_id IN @values COLLECT found = f.cover_id RETURN found
"""
FILES_WITH_COVERS: Final = "FOR f IN library_files FILTER f.cover_id IN @values RETURN f._key"
LOOK_FOR_COVERS_AGAIN: Final = f"""
FOR f IN library_files OPTIONS {{ indexHint: "primary" }}
    FILTER f._key IN @keys AND f.cover_id IN @values
    {_LOOK_FOR_COVER_AGAIN}
"""
KEYS_IN_FOLDERS: Final = """
FOR folder IN @folders
    FOR f IN library_files
        FILTER f.library_key == @library AND f.folder_key == folder
        RETURN f._key
"""
# Twice, or just after the lease was lost, it does no harm; so it need not exclude a query that takes the lease.
LOOK_FOR_COVERS_IN: Final = f"""{_BEGUN_AT}
LET is_held = LENGTH(
    FOR l IN libraries
        FILTER l._key == @library AND l.scan_owner == @owner AND l.scan_fence == @fence
        FILTER l.scan_expires_at > begun_at
        RETURN 1
) > 0
LET made_due = (
    FOR f IN library_files OPTIONS {{ indexHint: "primary" }}
        FILTER f._key IN (is_held ? @keys : []) AND f.library_key == @library AND f.folder_key IN @folders
        {_LOOK_FOR_COVER_AGAIN}
        RETURN 1
)
RETURN is_held
"""
LOOSE_COVERS: Final = "FOR c IN loose_covers LIMIT @limit RETURN c._key"
# Asked and forgotten in one transaction: a cover may lose its last file in between.
JUDGE_LOOSE_COVERS: Final = """
LET judged = (
    FOR c IN loose_covers
        FILTER c._key > @after
        SORT c._key
        LIMIT @limit
        RETURN [c._key, LENGTH(FOR f IN library_files FILTER f.cover_id == c._key LIMIT 1 RETURN 1) > 0]
)
LET forgotten = (
    FOR cover IN judged
        FILTER cover[1]
        REMOVE { _key: cover[0] } IN loose_covers
        RETURN 1
)
FOR cover IN judged
    RETURN cover
"""
FORGET_LOOSE_COVERS: Final = f"""{_ENRICHES}
LET forgotten = (
    FOR c IN loose_covers
        FILTER lease != null AND c._key IN @values
        REMOVE c IN loose_covers
        RETURN 1
)
{_ENRICHED}
RETURN lease != null
"""

# -- every row, for copies and checks -----------------------------------------------------------------------------

# By the primary index, which is sorted by bytes. What is marked as gone only waits to be swept.
ROWS_AFTER: Final = """
FOR d IN @@collection
    FILTER d._key > @after AND d.is_gone != true
    SORT d._key
    LIMIT @limit
    RETURN d
"""
COUNT_ROWS: Final = "RETURN LENGTH(FOR d IN @@collection FILTER d.is_gone != true RETURN 1)"
# What an earlier attempt has inserted stays as it is.
PUT_ROWS: Final = """
FOR r IN @rows
    INSERT r INTO @@collection OPTIONS { overwriteMode: "ignore" }
"""
CLEAR_COLLECTION: Final = """
FOR d IN @@collection
    FILTER d._key > @after
    SORT d._key
    LIMIT @limit
    REMOVE d IN @@collection
    RETURN [OLD._key]
"""
SET_LAST_SEQ: Final = """
UPSERT { _key: "events" } INSERT { _key: "events", last_seq: @seq } UPDATE { last_seq: @seq } IN meta
"""
GET_COPY_MARK: Final = 'FOR m IN meta FILTER m._key == "copy" AND m.mark != null RETURN m.mark'
SET_COPY_MARK: Final = """
UPSERT { _key: "copy" } INSERT { _key: "copy", mark: @mark } UPDATE { mark: @mark } IN meta
    OPTIONS { keepNull: true }
"""
