-- Paths are text in Nomarr's escaped form (helpers/paths_helper.py), compared byte by byte.
CREATE TABLE libraries (
    library_id            TEXT PRIMARY KEY,
    name                  TEXT NOT NULL UNIQUE,
    root_path             TEXT NOT NULL,
    root_path_key         TEXT NOT NULL UNIQUE,
    watch_mode            TEXT NOT NULL,
    enabled               INTEGER NOT NULL,
    ignore_patterns       TEXT NOT NULL,
    root_device           INTEGER,
    root_inode            INTEGER,
    offline_reason        TEXT,
    scan_id               TEXT,
    scan_state            TEXT,
    scan_owner            TEXT,
    scan_expires_at       REAL,
    scan_fence            INTEGER NOT NULL DEFAULT 0,
    scan_targets          TEXT NOT NULL DEFAULT '[]',
    queued_targets        TEXT NOT NULL DEFAULT '[]',
    last_scan_started_at  REAL,
    last_scan_at          REAL,
    full_scan_in_progress INTEGER NOT NULL DEFAULT 0,
    full_scan_since       REAL,
    held_back             TEXT
) STRICT;

CREATE TABLE library_files (
    row_id            INTEGER PRIMARY KEY,
    file_id           TEXT NOT NULL UNIQUE,
    library_id        TEXT NOT NULL REFERENCES libraries ON DELETE CASCADE,
    path              TEXT NOT NULL,
    path_key          TEXT NOT NULL, -- the path; '/<file_id>' while another file stands at it
    folder            TEXT NOT NULL,
    size              INTEGER NOT NULL,
    mtime_ns          INTEGER NOT NULL,
    ctime_ns          INTEGER NOT NULL,
    device            INTEGER NOT NULL,
    inode             INTEGER NOT NULL,
    tags              TEXT NOT NULL, -- JSON, only what the file says
    read_at           REAL NOT NULL,
    processing_status TEXT NOT NULL,
    last_error        TEXT,
    missing_since     REAL,
    ignored_by        TEXT,
    first_seen_at     REAL NOT NULL,
    updated_at        REAL NOT NULL,
    title             TEXT GENERATED ALWAYS AS (json_extract(tags, '$.title')) VIRTUAL,
    artist            TEXT GENERATED ALWAYS AS (json_extract(tags, '$.artist')) VIRTUAL,
    album             TEXT GENERATED ALWAYS AS (json_extract(tags, '$.album')) VIRTUAL,
    albumartist       TEXT GENERATED ALWAYS AS (json_extract(tags, '$.albumartist')) VIRTUAL
) STRICT;
CREATE UNIQUE INDEX library_files_by_path ON library_files (library_id, path_key);
CREATE INDEX library_files_by_folder ON library_files (library_id, folder);
CREATE INDEX library_files_by_inode ON library_files (inode);
CREATE INDEX library_files_sampled ON library_files (library_id, file_id) WHERE file_id < '04'; -- one in 64
CREATE INDEX library_files_absent ON library_files (library_id)
    WHERE missing_since IS NOT NULL OR ignored_by IS NOT NULL;

CREATE TABLE library_folders (
    library_id      TEXT NOT NULL REFERENCES libraries ON DELETE CASCADE,
    path            TEXT NOT NULL,
    parent          TEXT, -- NULL for the library root
    digest          TEXT NOT NULL,
    scanned_at      REAL NOT NULL,
    on_other_device INTEGER NOT NULL,
    PRIMARY KEY (library_id, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX library_folders_by_parent ON library_folders (library_id, parent);

CREATE TABLE library_sidecars (
    library_id TEXT NOT NULL REFERENCES libraries ON DELETE CASCADE,
    path       TEXT NOT NULL,
    folder     TEXT NOT NULL,
    kind       TEXT NOT NULL, -- playlist, image
    size       INTEGER NOT NULL,
    mtime_ns   INTEGER NOT NULL,
    ctime_ns   INTEGER NOT NULL,
    inode      INTEGER NOT NULL,
    error      TEXT,
    PRIMARY KEY (library_id, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX library_sidecars_by_folder ON library_sidecars (library_id, folder);

CREATE TABLE playlist_entries (
    library_id        TEXT NOT NULL,
    playlist_path     TEXT NOT NULL,
    position          INTEGER NOT NULL,
    text              TEXT NOT NULL,
    target_library_id TEXT,
    target_path_key   TEXT,
    file_id           TEXT,
    PRIMARY KEY (library_id, playlist_path, position),
    FOREIGN KEY (library_id, playlist_path) REFERENCES library_sidecars ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX playlist_entries_unresolved ON playlist_entries (target_library_id, target_path_key)
    WHERE file_id IS NULL AND target_path_key IS NOT NULL;
CREATE INDEX playlist_entries_by_file ON playlist_entries (file_id) WHERE file_id IS NOT NULL;

CREATE TABLE scan_runs (
    scan_id    TEXT PRIMARY KEY,
    library_id TEXT NOT NULL REFERENCES libraries ON DELETE CASCADE,
    state      TEXT NOT NULL,
    started_at REAL NOT NULL,
    ended_at   REAL,
    targets    TEXT NOT NULL,
    is_full    INTEGER NOT NULL,
    error      TEXT,
    report     TEXT
) STRICT;
CREATE INDEX scan_runs_by_library ON scan_runs (library_id, started_at);

CREATE TABLE events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    time       REAL NOT NULL,
    type       TEXT NOT NULL,
    library_id TEXT NOT NULL,
    file_id    TEXT NOT NULL,
    path       TEXT NOT NULL,
    old_path   TEXT,
    evidence   TEXT
) STRICT;

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
