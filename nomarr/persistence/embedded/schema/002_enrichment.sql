-- From when on a file is to be enriched (again); NULL: nothing to do. A scan sets it to a time that is always over,
-- because its clock may have been wrong; enrichment works it off.
ALTER TABLE library_files ADD COLUMN due_at REAL;
ALTER TABLE library_files ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
CREATE INDEX library_files_due_art ON library_files (first_seen_at)
    WHERE due_at IS NOT NULL AND processing_status <> 'art_done';
CREATE INDEX library_files_due_sound ON library_files (first_seen_at)
    WHERE due_at IS NOT NULL AND processing_status = 'art_done';
CREATE INDEX library_files_failed ON library_files (library_id, path_key) WHERE processing_status = 'error';
CREATE INDEX library_files_missing ON library_files (library_id, missing_since) WHERE missing_since IS NOT NULL;
UPDATE library_files SET due_at = 0.0 WHERE processing_status = 'metadata_done';

-- Beside the rows that scans read and write, so that a fingerprint costs them nothing.
CREATE TABLE enrichment (
    row_id              INTEGER PRIMARY KEY REFERENCES library_files ON DELETE CASCADE,
    hashed_size         INTEGER NOT NULL,
    hashed_mtime_ns     INTEGER NOT NULL,
    hashed_ctime_ns     INTEGER NOT NULL,
    hashed_inode        INTEGER NOT NULL,
    audio_hash          TEXT,
    audio_bytes         INTEGER,
    content_xxh3        TEXT,
    content_sha256      TEXT,
    fingerprint_seconds REAL,
    duration_seconds    REAL,
    cover_id            TEXT,
    fingerprint         TEXT
) STRICT;
CREATE INDEX enrichment_by_audio_hash ON enrichment (audio_hash) WHERE audio_hash IS NOT NULL;
CREATE INDEX enrichment_by_audio_bytes ON enrichment (audio_bytes) WHERE audio_bytes IS NOT NULL;
CREATE INDEX enrichment_by_cover ON enrichment (cover_id) WHERE cover_id IS NOT NULL;
CREATE INDEX enrichment_unheard ON enrichment (row_id) WHERE fingerprint_seconds IS NULL;
CREATE INDEX enrichment_unhashed ON enrichment (row_id) WHERE content_xxh3 IS NULL;

-- Covers that lost a file; those that no other file has are deleted, a little later. Not INSERT OR IGNORE: SQLite takes
-- the conflict clause of the statement that fires a trigger instead of the trigger's own.
CREATE TABLE loose_covers (
    cover_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TRIGGER cover_of_removed_file AFTER DELETE ON enrichment WHEN old.cover_id IS NOT NULL
BEGIN
    INSERT INTO loose_covers SELECT old.cover_id WHERE old.cover_id NOT IN (SELECT cover_id FROM loose_covers);
END;
CREATE TRIGGER cover_replaced AFTER UPDATE OF cover_id ON enrichment
WHEN old.cover_id IS NOT NULL AND old.cover_id IS NOT new.cover_id
BEGIN
    INSERT INTO loose_covers SELECT old.cover_id WHERE old.cover_id NOT IN (SELECT cover_id FROM loose_covers);
END;

ALTER TABLE libraries ADD COLUMN transcode_policy TEXT NOT NULL DEFAULT 'keep_id';

-- One process enriches at a time.
CREATE TABLE enrichment_lease (
    only_one   INTEGER PRIMARY KEY CHECK (only_one = 1),
    owner      TEXT NOT NULL,
    expires_at REAL NOT NULL
) STRICT;

-- Which library old_path is in; NULL for events without one, and for those of schema 1, which did not note it.
ALTER TABLE events ADD COLUMN old_library_id TEXT;
CREATE INDEX events_moves ON events (seq) WHERE type IN ('moved', 'renamed');
