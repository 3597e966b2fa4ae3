"""Child programs that scan, and what an outsider can see of them and of their database."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import psutil
from scan_once import COUNTERS, Job
from support.fork_server import ForkServer

PROGRAM = Path(__file__).with_name("scan_once.py")
PATIENCE_SECONDS = 60.0
_MARK = "MARK_OF_SCANNER"


def wait_until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Ask again and again until the answer is true; fails with `what` when it takes too long."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.005)
    return answer


class Scanner:
    """A child program that scans. A context manager: leaving it ends the child and whatever it started, by pid."""

    forks: ClassVar[ForkServer]
    """What starts them; a fixture sets it."""

    def __init__(self, job: Job) -> None:
        # A mark in the environment: its worker processes can be told from others even after it has died.
        self._mark = uuid.uuid4().hex
        environment = os.environ | {_MARK: self._mark}
        self.process = self.forks.start(str(PROGRAM), job.as_json(), environment=environment, new_session=True)
        self.facts: list[dict[str, Any]] = []
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._errors: list[bytes] = []
        self._threads = [threading.Thread(target=self._listen), threading.Thread(target=self._collect_errors)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def errors(self) -> str:
        """What it wrote to its standard error; complete once it has ended."""
        return b"".join(self._errors).decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def go(self) -> None:
        """Let a child that waits for it begin."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def send(self, number: signal.Signals) -> float:
        """Send the child (not its workers) a signal; when that was."""
        now = time.monotonic()
        os.kill(self.pid, number)
        return now

    def fact(self, **wanted: Any) -> dict[str, Any]:
        """The first thing it told or tells with these values."""
        for known in self.facts:
            if _has(known, wanted):
                return known
        while (found := self._next()) is not None:
            if _has(found, wanted):
                return found
        raise AssertionError(f"it ended without {wanted}: {self.facts}\n{self.errors}")

    def stage(self, name: str) -> dict[str, Any]:
        """Wait until it reaches a stage."""
        return self.fact(stage=name)

    def results(self) -> list[dict[str, Any]]:
        """Wait for its end; what came of each scan."""
        while self._next() is not None:
            pass
        self.process.wait(PATIENCE_SECONDS)
        self._threads[1].join(PATIENCE_SECONDS)
        return [fact for fact in self.facts if "result" in fact]

    def reports(self) -> list[dict[str, Any]]:
        """Wait for its end; the reports of scans that all must have completed."""
        results = [fact["result"] for fact in self.results()]
        assert self.process.returncode == 0, (self.process.returncode, self.facts, self.errors)
        assert results, (self.facts, self.errors)
        assert all(isinstance(result, dict) for result in results), (self.facts, self.errors)
        return results

    def members(self) -> list[int]:
        """The child and everything it started that still runs."""
        started = [pid for pid in psutil.pids() if _is_running(pid) and _mark_of(pid) == self._mark]
        return started if self.process.poll() is not None else [self.pid, *started]

    def workers(self) -> list[int]:
        """What it started and still runs."""
        return [pid for pid in self.members() if pid != self.pid]

    def assert_nothing_left(self, seconds: float = 5.0) -> None:
        """Once the child has ended, its workers end by themselves."""
        wait_until(lambda: not self.members(), f"processes of {self.pid} are left: {self.members()}", seconds)

    def _next(self) -> dict[str, Any] | None:
        line = self._lines.get(timeout=PATIENCE_SECONDS)
        if line is None:
            self._lines.put(None)
            return None
        found: dict[str, Any] = json.loads(line)
        self.facts.append(found)
        return found

    def _listen(self) -> None:
        for line in self.process.stdout:
            # A program that is killed may leave half a line behind.
            if line.endswith(b"\n"):
                self._lines.put(line)
        self._lines.put(None)

    def _collect_errors(self) -> None:
        self._errors += self.process.stderr


class Counters:
    """A file into which a child counts its statements; it can be read after the child was killed."""

    def __init__(self, folder: Path) -> None:
        descriptor, self.path = tempfile.mkstemp(dir=folder, prefix="counters-")
        os.write(descriptor, bytes(COUNTERS.size))
        os.close(descriptor)

    def read(self) -> tuple[int, int, bool]:
        """Write transactions begun, statements run, whether the last transaction was open."""
        transactions, statements, is_open = COUNTERS.unpack(Path(self.path).read_bytes())
        return transactions, statements, bool(is_open)


@contextlib.contextmanager
def opened(database: Path) -> Iterator[sqlite3.Connection]:
    """The database as any SQLite program sees it."""
    connection = sqlite3.connect(database, timeout=30, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        yield connection
    finally:
        connection.close()


def rows(database: Path, query: str, *values: object) -> list[dict[str, Any]]:
    with opened(database) as connection:
        return [dict(row) for row in connection.execute(query, values)]


def scan_state(database: Path, root: Path | str) -> dict[str, Any]:
    """What is stored of the scan of the library at `root`."""
    found = rows(database, "SELECT * FROM libraries WHERE root_path = ?", str(root))
    assert len(found) == 1, found
    return found[0]


def integrity(database: Path) -> list[str]:
    """What SQLite itself finds wrong."""
    with opened(database) as connection:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        return problems + [f"orphan in {row[0]}" for row in connection.execute("PRAGMA foreign_key_check")]


def _has(fact: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(fact.get(name) == value for name, value in wanted.items())


def _mark_of(pid: int) -> str | None:
    try:
        return psutil.Process(pid).environ().get(_MARK)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
