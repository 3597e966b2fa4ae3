"""The double as a server: listens on a free port of 127.0.0.1 and injects faults."""

from __future__ import annotations

import threading
import traceback
import urllib.parse
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import TracebackType

from support.arango.api import Api, system_clock
from support.arango.errors import Problem
from support.arango.faults import Away, Fault, LostAnswer, Plan, Refusal, ResetBefore, Stall, TruncatedJson, no_faults
from support.arango.network import Listener
from support.arango.requests import Answer, Logged, Request


class ArangoDouble:
    """An ArangoDB 3.12 server for tests, inside the test's process.

    `with ArangoDouble() as server:` starts and stops it; `stop` and `start` do so in between, on the same port and with
    its data. `faults` is asked about every request and may be exchanged at any time. With a `certificate`, a file that
    holds its key, too, it speaks TLS."""

    def __init__(
        self,
        *,
        username: str = "root",
        password: str = "secret",
        clock: Callable[[], float] = system_clock,
        faults: Plan = no_faults,
        certificate: Path | None = None,
    ) -> None:
        self.api = Api(username=username, password=password, clock=clock)
        self.faults = faults
        self.log: list[Logged] = []
        self.port = 0
        self._username = username
        self._certificate = certificate
        self._numbers = count(1)
        self._failures: list[BaseException] = []
        self._one_at_a_time = threading.Lock()
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._leaving = threading.Event()
        self._returns: list[threading.Thread] = []
        self._listener: Listener | None = None

    def __enter__(self) -> ArangoDouble:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Mistakes of the double itself, which were answered with status 500, are raised here."""
        self._leaving.set()
        self.wait_until_back()
        self.stop()
        if self._failures and error is None:
            raise self._failures[0]

    @property
    def url(self) -> str:
        """For the driver: `http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self.port}"

    def database_url(self, database: str = "nomarr") -> str:
        """For Nomarr: `arangodb://user:password@127.0.0.1:port/database`, or `arangodb+https://…`."""
        scheme = "arangodb" if self._certificate is None else "arangodb+https"
        password = urllib.parse.quote(self.api.password, safe="")
        return f"{scheme}://{self._username}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def connections(self) -> int:
        """How many there were since it was started."""
        return 0 if self._listener is None else self._listener.accepted

    def start(self) -> None:
        with self._changing:
            if self._listener is None:
                self._stopping.clear()
                self._listener = Listener(self.port, self._respond, self._certificate)
                self.port = self._listener.port

    def stop(self) -> None:
        """Close every connection; what is being done is still done, its answers are lost."""
        with self._changing:
            if self._listener is not None:
                self._stopping.set()
                self._listener.close()
                self._listener = None

    def wait_until_back(self) -> None:
        """Returns when no `Away` is still going on."""
        for thread in list(self._returns):
            thread.join()

    def requests(self, path: str = "", method: str = "") -> list[Logged]:
        """Those of the log whose path begins so, in the order they were finished."""
        return [seen for seen in list(self.log) if seen.path.startswith(path) and method in ("", seen.method)]

    def forget_requests(self) -> None:
        self.log.clear()

    def copy_database(self, source: str, name: str) -> None:
        """Make the database `name` with everything that is in `source`: quicker than to create it by requests."""
        with self._one_at_a_time:
            self.api.store.copy_database(source, name)

    def _respond(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[Answer, bytes] | None:
        """The answer with its content; None when the connection is to be reset. Called by every connection's thread."""
        request = parsed(next(self._numbers), method, target, headers, body)
        fault = self.faults(request)
        done = self._done(request, fault)
        is_lost = isinstance(fault, LostAnswer) or self._stopping.is_set()
        answer = None if is_lost else done
        self.log.append(logged(request, fault, answer, done))
        if answer is None:
            return None
        content = answer.content
        return answer, content[: len(content) // 2] if isinstance(fault, TruncatedJson) else content

    def _done(self, request: Request, fault: Fault | None) -> Answer | None:
        """The answer to what was done; None if nothing was."""
        if isinstance(fault, Refusal):
            return Answer.failed(fault.problem)
        if isinstance(fault, Away):
            self._go_away(fault.seconds)
        if isinstance(fault, (Away, ResetBefore)):
            return None
        if isinstance(fault, Stall):
            self._stopping.wait(fault.seconds)
        return self._execute(request)

    def _execute(self, request: Request) -> Answer:
        try:
            with self._one_at_a_time:
                return self.api.answer(request)
        except Exception as error:
            self._failures.append(error)
            return Answer.failed(Problem.INTERNAL, "".join(traceback.format_exception(error)))

    def _go_away(self, seconds: float) -> None:
        """In a thread of its own, because stopping waits for the one that answers this request."""
        thread = threading.Thread(target=self._away, args=(seconds,), name="arango-double-away")
        self._returns.append(thread)
        thread.start()

    def _away(self, seconds: float) -> None:
        self.stop()
        if not self._leaving.wait(seconds):
            self.start()


def parsed(number: int, method: str, target: str, headers: dict[str, str], body: bytes) -> Request:
    """`/_db/name/_api/…` names its database; without it the request is for `_system`."""
    address = urllib.parse.urlsplit(target)
    database, path = "_system", address.path
    if path.startswith("/_db/"):
        _, _, name, rest = path.split("/", 3)
        database, path = urllib.parse.unquote(name), f"/{rest}"
    parameters = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
    return Request(number, method, urllib.parse.unquote(path), database, parameters, headers, body)


def logged(request: Request, fault: Fault | None, answer: Answer | None, done: Answer | None) -> Logged:
    """`done` is the answer before it got lost."""
    told = done.body if done is not None and isinstance(done.body, dict) else {}
    statistics = told.get("extra", {}).get("stats", {})
    return Logged(
        number=request.number,
        method=request.method,
        path=request.path,
        database=request.database,
        query=request.query,
        bind_names=request.bind_names,
        fault="" if fault is None else type(fault).__name__,
        status=0 if answer is None else answer.status,
        looked_at=statistics.get("scannedFull", 0) + statistics.get("scannedIndex", 0),
        written=statistics.get("writesExecuted", 0),
    )
