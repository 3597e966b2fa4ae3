"""Random stories of batches against a model that is short enough to be believed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from storage_kit import Scan, examples, gone, hidden, moved, read, seen, start_scan, stat, upsert

from nomarr.helpers.dto.batches import FileMove, RowOutcome
from nomarr.helpers.dto.files import KnownFile
from nomarr.persistence.db import Database

PLACES = ["a", "b", "A", "D/a", "D/b", "D+/a", "caf\u00e9", "cafe\u0301", "b\udcff", "D/%_\\"]
places = st.sampled_from(PLACES)
numbers = st.integers(1, 3)
titles = st.sampled_from(["one", "two"])
_names = (f"library {number}" for number in itertools.count())


@dataclass(frozen=True)
class Row:
    """One file of the model."""

    path: str
    number: int
    title: str
    missing: bool = False
    hidden: bool = False
    displaced: bool = False

    @property
    def is_present(self) -> bool:
        return not self.missing and not self.hidden


class FileStory(RuleBasedStateMachine):
    """A library, and a dictionary of id to `Row` that has to agree with it."""

    database: Database

    @initialize()
    def begin(self) -> None:
        self.scan: Scan = start_scan(self.database, next(_names))
        self.rows: dict[str, Row] = {}
        self.events: list[tuple[str, str]] = []

    # --- what the model knows

    def at(self, path: str) -> str | None:
        standing = [file_id for file_id, row in self.rows.items() if row.path == path and not row.displaced]
        assert len(standing) <= 1
        return standing[0] if standing else None

    def known(self, file_id: str) -> KnownFile:
        return self.scan.by_id()[file_id]

    def any_row(self, index: int) -> str | None:
        ids = sorted(self.rows, key=lambda file_id: (self.rows[file_id].path, file_id))
        return ids[index % len(ids)] if ids else None

    def upsert_in_model(self, path: str, number: int, title: str, file_id: str) -> RowOutcome:
        standing = self.at(path)
        if standing is None:
            self.rows[file_id] = Row(path, number, title)
            self.events.append(("created", path))
            return RowOutcome.INSERTED
        row = self.rows[standing]
        self.rows[standing] = Row(path, number, title)
        if not row.is_present:
            self.events.append(("restored", path))
            return RowOutcome.RESTORED
        if (row.number, row.title) == (number, title):
            return RowOutcome.UNCHANGED
        self.events.append(("modified", path))
        return RowOutcome.UPDATED

    def move_in_model(self, moves: list[tuple[str, str]]) -> tuple[int, int]:
        """Ids and their new places, each id once; how many were displaced."""
        old = {file_id: self.rows[file_id].path for file_id, _ in moves}
        for file_id in old:
            self.rows[file_id] = replace(self.rows[file_id], displaced=True)
        displaced = 0
        for file_id, to_path in moves:
            standing = self.at(to_path)
            if standing is not None:
                if self.rows[standing].is_present:
                    displaced += 1
                    self.events.append(("missing", to_path))
                self.rows[standing] = replace(self.rows[standing], missing=True, displaced=True)
            self.rows[file_id] = replace(self.rows[file_id], path=to_path, missing=False, hidden=False, displaced=False)
            same_folder = old[file_id].rpartition("/")[0] == to_path.rpartition("/")[0]
            kind = "restored" if old[file_id] == to_path else "renamed" if same_folder else "moved"
            self.events.append((kind, to_path))
        return len(old), displaced

    # --- what can happen

    @rule(files=st.lists(st.tuples(places, numbers, titles), min_size=1, max_size=5))
    def write_files(self, files: list[tuple[str, int, str]]) -> None:
        batch = [upsert(path, number=number, tags=read(title)) for path, number, title in files]
        last = {path: index for index, (path, _, _) in enumerate(files)}
        expected = [
            self.upsert_in_model(*file, batch[index].file_id) if last[file[0]] == index else RowOutcome.UNCHANGED
            for index, file in enumerate(files)
        ]
        assert list(self.scan.write(upserts=batch).upserts) == expected
        assert set(self.scan.write(upserts=batch).upserts) == {RowOutcome.UNCHANGED}

    @rule(moves=st.lists(st.tuples(st.integers(0, 20), places), min_size=1, max_size=4))
    def move_files(self, moves: list[tuple[int, str]]) -> None:
        asked = [(file_id, to_path) for index, to_path in moves if (file_id := self.any_row(index))]
        batch = [moved(self.known(file_id), to_path) for file_id, to_path in asked]
        result = self.scan.write(moves=batch)
        assert (result.moved, result.displaced) == self.move_in_model(list(dict(asked).items()))

    @rule(index=st.integers(0, 20), from_path=places, to_path=places)
    def move_from_a_wrong_place(self, index: int, from_path: str, to_path: str) -> None:
        file_id = self.any_row(index)
        if file_id is not None and self.rows[file_id].path != from_path:
            move = FileMove(file_id, self.scan.library_id, from_path, to_path, "evidence")
            assert self.scan.write(moves=[move]).moved == 0

    @rule(first=places, second=places)
    def swap(self, first: str, second: str) -> None:
        one, two = self.at(first), self.at(second)
        if one and two and one != two:
            result = self.scan.write(moves=[moved(self.known(one), second), moved(self.known(two), first)])
            assert (result.moved, result.displaced) == self.move_in_model([(one, second), (two, first)]) == (2, 0)

    @rule(index=st.integers(0, 20))
    def lose(self, index: int) -> None:
        file_id = self.any_row(index)
        if file_id is None:
            return
        row = self.rows[file_id]
        assert self.scan.write(gone=[gone(self.known(file_id))]).gone == (not row.missing)
        if not row.missing:
            self.rows[file_id] = replace(row, missing=True, hidden=False)
        if row.is_present:
            self.events.append(("missing", row.path))

    @rule(index=st.integers(0, 20))
    def hide(self, index: int) -> None:
        file_id = self.any_row(index)
        if file_id is None:
            return
        row = self.rows[file_id]
        assert self.scan.write(hidden=[hidden(self.known(file_id))]).hidden == (not row.hidden)
        if not row.hidden:
            self.rows[file_id] = replace(row, hidden=True)
        if row.is_present:
            self.events.append(("removed", row.path))

    @rule(index=st.integers(0, 20), number=numbers)
    def see(self, index: int, number: int) -> None:
        file_id = self.any_row(index)
        if file_id is None:
            return
        row = self.rows[file_id]
        result = self.scan.write(seen=[seen(self.known(file_id), number=number)])
        if row.displaced:
            assert (result.restored, result.refreshed) == (0, 0)
            return
        assert (result.restored, result.refreshed) == ((0, 1) if row.is_present else (1, 0))
        self.rows[file_id] = replace(row, number=number, missing=False, hidden=False)
        if not row.is_present:
            self.events.append(("restored", row.path))

    # --- what always holds

    @invariant()
    def database_and_model_agree(self) -> None:
        stored = {
            file.file_id: (
                file.path,
                file.stat,
                file.missing_since is not None,
                file.ignored_by is not None,
                file.displaced,
            )
            for file in self.scan.known()
        }
        assert stored == {
            file_id: (row.path, stat(row.number), row.missing, row.hidden, row.displaced)
            for file_id, row in self.rows.items()
        }
        assert self.scan.told() == self.events
        self.events.clear()

    @invariant()
    def questions_agree_with_the_rows(self) -> None:
        present = {file_id: row for file_id, row in self.rows.items() if row.is_present}
        assert self.scan.db.library_files.count_present(self.scan.library_id) == len(present)
        listed = self.scan.db.library_files.records(self.scan.library_id)
        assert {record.file_id: record.tags.title for record in listed} == {
            file_id: row.title for file_id, row in present.items()
        }
        for path in PLACES:
            standing = self.at(path)
            if standing is not None:
                assert self.scan.record(path).file_id == standing


def test_any_story_ends_as_the_model_says(any_database: Database) -> None:
    class Story(FileStory):
        database = any_database

    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=examples(any_database.location, 100), stateful_step_count=40, derandomize=True, deadline=None
        ),
    )
    assert any_database.check_integrity() == []
