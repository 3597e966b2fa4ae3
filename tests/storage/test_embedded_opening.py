"""SQLite only: opening the file, its schema, its errors, and who else holds it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import pytest
from storage_kit import Scan, folder, gone, image, moved, playlist, start_scan, upsert
from support.patience import promised

from nomarr.helpers.dto.batches import BatchResult, ScanBatch
from nomarr.helpers.exceptions import (
    ConfigurationError,
    DatabaseError,
    DatabaseNotReachable,
    DatabaseSchemaTooNew,
    LeaseLost,
    StorageFull,
)
from nomarr.persistence.db import Database
from nomarr.persistence.embedded import connection
from nomarr.persistence.embedded.database import SqliteDatabase

SCHEMA = resources.files("nomarr.persistence.embedded") / "schema"
MIGRATIONS = {int(entry.name[:3]): entry.read_text(encoding="utf-8") for entry in SCHEMA.iterdir()}
NEWEST = max(MIGRATIONS)
NEXT = NEWEST + 1

AS_ROOT = os.geteuid() == 0
# Access rights mean nothing to root, so these tests become another user in a process of their own.
NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nomarr.db"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach; those above `tmp_path` keep them out."""
    with tempfile.TemporaryDirectory() as folder_path:
        os.chmod(folder_path, 0o755)
        yield Path(folder_path)


def sql(path: Path, statement: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else is in the middle of a write."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@contextlib.contextmanager
def opened(
    path: Path, *, patience_seconds: float = 60.0, migrations: dict[int, str] | None = None
) -> Iterator[Database]:
    with Database(SqliteDatabase(path, patience_seconds=patience_seconds, migrations=migrations)) as db:
        yield db


class TestSchema:
    def test_a_new_database_has_the_newest_schema(self, path: Path) -> None:
        with Database.open(f"sqlite:///{path}") as db:
            assert db.schema_version() == NEWEST
        assert sql(path, "PRAGMA user_version") == [(NEWEST,)]
        assert sql(path, "PRAGMA journal_mode") == [("wal",)]

    def test_migrations_are_numbered_without_gaps(self) -> None:
        assert sorted(MIGRATIONS) == list(range(1, NEWEST + 1))

    def test_a_newer_schema_is_refused_with_what_to_do(self, path: Path) -> None:
        with opened(path) as db:
            db.settings.set("key", "value")
        sql(path, f"PRAGMA user_version = {NEWEST + 7}")
        with pytest.raises(DatabaseSchemaTooNew) as caught:
            Database.open(f"sqlite:///{path}")
        assert (caught.value.found, caught.value.known) == (NEWEST + 7, NEWEST)
        assert str(caught.value) == (
            f"{path} was written by a newer Nomarr (schema {NEWEST + 7}, this one knows {NEWEST}); "
            "update Nomarr, or use another database with --db"
        )
        assert sql(path, "SELECT value FROM settings") == [("value",)]

    def test_an_older_schema_is_kept_as_a_copy_and_updated(self, path: Path) -> None:
        with opened(path) as db:
            scan = start_scan(db)
            scan.add("a", "b")
            known = scan.known()
        more = {
            NEXT: "-- A comment; with a semicolon.\n"
            "CREATE TABLE more (x TEXT DEFAULT ';');\nINSERT INTO more VALUES ('1;2')"
        }
        with opened(path, migrations=MIGRATIONS | more) as db:
            scan.db = db
            assert db.schema_version() == NEXT
            assert scan.known() == known
        assert sql(path, "SELECT x FROM more") == [("1;2",)]
        copy = path.with_name(f"nomarr.db.schema-{NEWEST}.backup")
        assert sql(copy, "PRAGMA user_version") == [(NEWEST,)]
        assert sql(copy, "SELECT COUNT(*) FROM library_files") == [(2,)]
        assert sql(copy, "PRAGMA integrity_check") == [("ok",)]
        # The next time there is nothing left to do.
        copy.unlink()
        with opened(path, migrations=MIGRATIONS | more):
            assert not copy.exists()

    def test_a_new_database_needs_no_copy(self, path: Path) -> None:
        with opened(path):
            pass
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    def test_an_update_that_fails_changes_nothing(self, path: Path) -> None:
        with opened(path) as db:
            db.settings.set("key", "value")
        broken = "CREATE TABLE half (x);\nDELETE FROM settings;\nINSERT INTO nowhere VALUES (1);"
        with pytest.raises(DatabaseError, match="nowhere"), opened(path, migrations=MIGRATIONS | {NEXT: broken}):
            pass
        with opened(path) as db:
            assert db.schema_version() == NEWEST
            assert db.settings.get("key") == "value"
        assert sql(path, "SELECT name FROM sqlite_master WHERE name = 'half'") == []

    def test_of_several_updates_the_first_ones_stay(self, path: Path) -> None:
        steps = MIGRATIONS | {NEXT: "CREATE TABLE first (x);", NEXT + 1: "CREATE TABLE nonsense;"}
        with opened(path):
            pass
        with pytest.raises(DatabaseError), opened(path, migrations=steps):
            pass
        assert sql(path, "PRAGMA user_version") == [(NEXT,)]


class TestWrongPlaces:
    def test_missing_folders_are_made(self, tmp_path: Path) -> None:
        with Database.open(f"sqlite:///{tmp_path}/a/b/nomarr.db"):
            pass
        assert (tmp_path / "a/b/nomarr.db").is_file()

    def test_a_relative_path_and_an_odd_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("nomarr.db", "with space?#%20.db", "é.db", os.fsdecode(b"\xff.db")):
            with Database.open(f"sqlite:///{name}") as db:
                db.settings.set("key", name.encode("utf-8", "replace").decode())
            assert (tmp_path / name).is_file()

    @pytest.mark.parametrize("content", [b"not a database, but text" * 100, b"ID3\x04\x00" * 500, b"\0" * 4096])
    def test_another_file_is_not_touched(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        with pytest.raises(DatabaseNotReachable, match="is not a usable SQLite database"):
            Database.open(f"sqlite:///{path}")
        assert path.read_bytes() == content

    def test_a_folder_is_no_database(self, tmp_path: Path) -> None:
        with pytest.raises(DatabaseNotReachable, match="can't be opened"):
            Database.open(f"sqlite:///{tmp_path}")

    def test_a_file_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(DatabaseNotReachable, match="can't be opened"):
            Database.open(f"sqlite:///{tmp_path}/file/nomarr.db")

    def test_after_closing_nothing_is_answered(self, path: Path) -> None:
        db = Database.open(f"sqlite:///{path}")
        db.close()
        with pytest.raises(DatabaseError):
            db.settings.get("key")
        with pytest.raises(DatabaseError):
            db.settings.set("key", "value")
        db.close()

    @pytest.mark.skipif(not AS_ROOT, reason="becoming a user without rights needs root")
    @pytest.mark.parametrize("existing", [True, False])
    def test_a_folder_that_may_not_be_written_says_so(self, open_folder: Path, existing: bool) -> None:
        if existing:
            with opened(open_folder / "nomarr.db"):
                pass
        os.chmod(open_folder, 0o555)
        program = (
            "import os, sys\n"
            "import nomarr.persistence.embedded.database\n"
            "from nomarr.persistence.db import Database\n"
            "from nomarr.helpers.exceptions import DatabaseNotReachable\n"
            "os.chdir(sys.argv[1]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))\n"
            "try:\n"
            "    Database.open('sqlite:///nomarr.db').settings.set('key', 'value')\n"
            "except DatabaseNotReachable as error:\n"
            "    print(error)\n"
        )
        command = [sys.executable, "-c", program, str(open_folder), str(NOBODY)]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
        assert "can't be opened or written" in said.stdout

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://root:secret@host/nomarr",
            "root:secret@host",
            "//root:secret@host/nomarr",
            "my_user:secret@host://nomarr",
            "secret",
            "secret://",
            "",
            "sqlite:secret",
            "sqlite://secret/nomarr.db",
            "sqlite://",
            "sqlite:///",
            "sqlite:///:memory:",
            "sqlite:///secret\0.db",
        ],
    )
    def test_a_wrong_url_is_refused_and_no_password_told(self, url: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            Database.open(url)
        assert "sqlite:///path/to/nomarr.db" in str(caught.value)
        if url != "secret://":
            assert "secret" not in str(caught.value)

    def test_the_scheme_may_be_written_large(self, path: Path) -> None:
        with Database.open(f"SQLite:///{path}") as db:
            assert db.location == f"sqlite:///{path}"


class TestLocked:
    def test_a_write_waits_for_the_other_one(self, path: Path) -> None:
        with opened(path) as db:
            done = threading.Event()

            def write() -> None:
                db.settings.set("key", "value")
                done.set()

            with writing(path) as holder:
                writer = threading.Thread(target=write)
                writer.start()
                assert not done.wait(0.2)
                holder.execute("ROLLBACK")
            assert done.wait(30)
            writer.join()
            assert db.settings.get("key") == "value"

    def test_opening_waits_for_the_other_one(self, path: Path) -> None:
        results: list[int] = []
        with opened(path):
            pass
        sql(path, "PRAGMA journal_mode=DELETE")
        with writing(path) as holder:

            def open_it() -> None:
                with Database.open(f"sqlite:///{path}") as db:
                    results.append(db.schema_version())

            opener = threading.Thread(target=open_it)
            opener.start()
            opener.join(0.2)
            assert not results
            holder.execute("ROLLBACK")
        opener.join(30)
        assert results == [NEWEST]

    def test_waiting_ends(self, path: Path) -> None:
        with opened(path, patience_seconds=0.2) as db:
            with writing(path), pytest.raises(DatabaseNotReachable, match="is locked by another program"):
                db.settings.set("key", "value")
            db.settings.set("key", "later")
            assert db.settings.get("key") == "later"

    def test_all_who_wait_do_so_at_the_same_time(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "_BUSY_TIMEOUT_SECONDS", 0.1)
        with opened(path, patience_seconds=0.5) as db, writing(path), ThreadPoolExecutor(20) as threads:
            waiting = [threads.submit(db.settings.set, "key", str(number)) for number in range(20)]
            done, _ = futures.wait(waiting, promised(4))
            assert len(done) == 20
            for one in waiting:
                assert isinstance(one.exception(), DatabaseNotReachable)

    def test_whoever_waits_gives_up_when_asked_to_and_says_before_what_it_waits_for(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(connection, "_BUSY_TIMEOUT_SECONDS", 0.1)
        monkeypatch.setattr(connection, "_LAST_PATIENCE_SECONDS", 0.1)
        with opened(path) as db, writing(path), ThreadPoolExecutor(4) as threads:
            waiting = [threads.submit(db.settings.set, "key", str(number)) for number in range(4)]
            done, _ = futures.wait(waiting, 0.5)
            assert not done
            db.give_up()
            for one in waiting:
                with pytest.raises(DatabaseNotReachable, match="is locked by another program"):
                    one.result(promised(2))
        told = [record for record in caplog.records if record.name.startswith("nomarr")]
        assert "locked by another program; waiting for it" in told[0].message

    def test_what_is_free_is_written_after_giving_up(self, path: Path) -> None:
        with opened(path) as db:
            db.give_up()
            db.settings.set("key", "value")
            assert db.settings.get("key") == "value"

    def test_a_batch_that_waited_for_longer_than_its_lease_writes_nothing(self, path: Path) -> None:
        results: list[Exception] = []
        with opened(path) as db:
            scan = start_scan(db, lease_seconds=1.2)

            def write() -> None:
                try:
                    scan.write(upserts=[upsert("a")])  # a second of the lease is over by now
                except LeaseLost as error:
                    results.append(error)

            with writing(path) as holder:
                writer = threading.Thread(target=write)
                writer.start()
                writer.join(0.4)
                holder.execute("ROLLBACK")
            writer.join(30)
            assert len(results) == 1
            assert scan.known() == []

    def test_reading_does_not_wait(self, path: Path) -> None:
        with opened(path, patience_seconds=0.1) as db:
            db.settings.set("key", "value")
            with writing(path):
                assert db.settings.get("key") == "value"

    def test_an_empty_batch_does_not_wait(self, path: Path) -> None:
        with opened(path, patience_seconds=0.1) as db:
            scan = start_scan(db)
            with writing(path):
                assert scan.write() == BatchResult()

    def test_threads_share_one_database(self, path: Path) -> None:
        with opened(path) as db:
            scans = [start_scan(db, f"library {number}") for number in range(6)]

            def work(scan: Scan) -> None:
                for number in range(20):
                    scan.write(upserts=[upsert(f"{number}/{index}", number=index) for index in range(10)])
                    assert len(scan.known()) == 10 * (number + 1)

            threads = [threading.Thread(target=work, args=(scan,)) for scan in scans]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert [db.library_files.count_present(scan.library_id) for scan in scans] == [200] * 6


@pytest.mark.parametrize(
    "table", ["library_folders", "events", "playlist_entries", "library_files", "library_sidecars"]
)
def test_a_failure_at_any_table_undoes_the_whole_batch(path: Path, table: str) -> None:
    with opened(path) as db:
        scan = start_scan(db)
        files = scan.add("a", "b")
        scan.write(folders=[folder(""), folder("Old")])
        before = scan.known(), scan.folders(), db.events.last_seq(), db.library_sidecars.below("music", "")
        sql(path, f"CREATE TRIGGER fail BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'injected'); END")
        parts = {
            "moves": [moved(files["a"], "c")],
            "upserts": [upsert("new")],
            "gone": [gone(files["b"])],
            "playlists": [playlist("p.m3u", "a")],
            "images": [image("c.jpg")],
            "folders": [folder("New")],
            "gone_folders": ["Old"],
        }
        with pytest.raises(DatabaseError, match="injected"):
            scan.write(**parts)
        assert (scan.known(), scan.folders(), db.events.last_seq(), db.library_sidecars.below("music", "")) == before
        sql(path, "DROP TRIGGER fail")
        assert scan.write(**parts).moved == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_loses_nothing(small_disk: Path) -> None:
    with opened(small_disk / "nomarr.db") as db:
        scan = start_scan(db)

        def fill() -> None:
            for number in range(200):
                kept.append(f"{number}/0")
                scan.write(
                    upserts=[upsert(f"{number}/{index}", number=index) for index in range(100)],
                    folders=[folder(str(number))],
                )

        kept: list[str] = []
        with pytest.raises(StorageFull, match="free some space and scan again, nothing is lost"):
            fill()
        written = len(kept) - 1
        assert written >= 1
        assert len(scan.known()) == 100 * written
        assert scan.folders() - {""} == {str(number) for number in range(written)}
        assert db.check_integrity() == []
        subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
        result = db.library_files.upsert_batch(scan.lease, ScanBatch(upserts=[upsert("more")]), now=scan.now)
        assert result.changed_rows == 1
    with opened(small_disk / "nomarr.db") as db:
        assert db.check_integrity() == []
        assert db.library_files.count_present("music") == 100 * written + 1


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("free_bytes", [0, 16 * 1024])
def test_a_full_disk_is_told_at_opening(small_disk: Path, exists: bool, free_bytes: int) -> None:
    file = small_disk / "nomarr.db"
    if exists:
        with opened(file):
            pass
    fill(small_disk / "ballast", free_bytes)
    with pytest.raises(StorageFull, match=f"the disk that holds {file} is full; free some space"), opened(file):
        pass
    (small_disk / "ballast").unlink()
    with opened(file) as db:
        assert db.check_integrity() == []


def fill(ballast: Path, free_bytes: int) -> None:
    """Leave so much of the disk."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(ballast, ballast.stat().st_size - free_bytes)


def test_an_error_of_a_disk_with_room_is_none_of_a_full_one(path: Path) -> None:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Writing further fails, as on a broken disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, usual[1]))
    try:
        with pytest.raises(DatabaseError, match="disk I/O error") as caught, opened(path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert not isinstance(caught.value, StorageFull)


def test_the_location_is_a_url_that_opens_the_same_database(tmp_path: Path) -> None:
    with Database.open(f"sqlite:///{tmp_path / 'nomarr.db'}") as first:
        first.settings.set("key", "value")
        location = first.location
    with Database.open(location) as second:
        assert second.settings.get("key") == "value"


WRITES_AND_IS_KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from nomarr.persistence.db import Database
path = Path(sys.argv[1])
db = Database.open(f"sqlite:///{path}")
db.settings.set("written", "before the backup")
with sqlite3.connect(path) as source, sqlite3.connect(path.with_name("copy.db")) as copy:
    source.backup(copy)
db.settings.set("written", "after the backup")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_backup_is_restored_by_the_documented_command_after_a_crash(path: Path) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is missing: it is the command that docs/operations.md names")
    subprocess.run([sys.executable, "-c", WRITES_AND_IS_KILLED, str(path)], check=False)
    assert path.with_name("nomarr.db-wal").stat().st_size > 0
    subprocess.run(["sqlite3", str(path), f".restore '{path.with_name('copy.db')}'"], check=True)
    with Database.open(f"sqlite:///{path}") as db:
        assert db.settings.get("written") == "before the backup"
        assert db.check_integrity() == []
