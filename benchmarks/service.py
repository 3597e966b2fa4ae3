"""Measure the service: how soon it answers, and whether listeners get everything, while a large library is scanned.

The service, those who listen and the one who asks are processes of their own. The limits are the acceptance lines of
the service.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from acceptance import FAIL, Check, judged
from measure import PeakMemory

P99_SECONDS = 0.150
ASK_EVERY_SECONDS = 0.025
READ_UNTIL_RECONNECT = (200, 4000)
LONGEST_SECONDS = 150.0
PATIENCE_WITH_SLOW_CLIENTS = 45.0
STREAM = "/api/v1/events/stream"
_LARGEST_READ = 1 << 20
_NUMBER = re.compile(rb"^id: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Service:
    """A running `nomarr serve`."""

    process: subprocess.Popen[bytes]
    port: int

    def ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"})
        answer = connection.getresponse().read()
        connection.close()
        return answer.decode() if path == "/metrics" else json.loads(answer)

    def metric(self, name: str) -> float:
        found = re.search(rf"^{name} (\S+)$", self.ask("GET", "/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0


@contextmanager
def serving(state: Path, music: Path) -> Iterator[Service]:
    settings = {
        "NOMARR_DATABASE_URL": f"sqlite:///{state / 'nomarr.db'}",
        "NOMARR_BROWSE_ROOTS": json.dumps([str(music)]),
    }
    command = [sys.executable, "-m", "nomarr", "serve", "--port", "0"]
    with subprocess.Popen(command, env=os.environ | settings, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(rb"http://[\d.]+:(\d+)", said)
            if not found:
                raise RuntimeError(f"the service did not start: {said.decode()}")
            yield Service(process, int(found[1]))
        finally:
            process.terminate()
            process.wait(15)


def listen(port: int, clients: int, total: int) -> list[list[int]]:
    """In a process of its own: what each client got until it had everything, coming back again and again."""

    async def together() -> list[list[int]]:
        return await asyncio.gather(*(_listen(port, total, random.Random(client)) for client in range(clients)))

    return asyncio.run(together())


async def _listen(port: int, total: int, chance: random.Random) -> list[int]:
    got: list[int] = []
    end = time.monotonic() + LONGEST_SECONDS
    while len(got) < total and time.monotonic() < end:
        enough = min(total, len(got) + chance.randint(*READ_UNTIL_RECONNECT))
        try:
            async with asyncio.timeout(end - time.monotonic()):
                await _read_changes(port, got, enough)
        except ConnectionRefusedError:
            # There is no service any more.
            break
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            # Let go: what came until now is kept, and the next time it goes on there.
            await asyncio.sleep(0.1)
    return got


async def _read_changes(port: int, got: list[int], enough: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        # HTTP/1.0: without chunks, so that every line is one of the stream. Read in large pieces: 50 listeners that
        # look at each line would take as much of the processors as the service has to itself.
        last = f"Last-Event-ID: {got[-1] if got else 0}"
        writer.write(f"GET {STREAM} HTTP/1.0\r\nHost: 127.0.0.1\r\n{last}\r\n\r\n".encode())
        rest = b""
        while len(got) < enough:
            piece = await reader.read(_LARGEST_READ)
            if not piece:
                return
            complete, end, rest = (rest + piece).rpartition(b"\n\n")
            got += map(int, _NUMBER.findall(complete + end))
    finally:
        writer.close()


def ask_again_and_again(port: int, end_file: str) -> list[float]:
    """In a process of its own: how long each answer took, until the file is there."""
    seconds: list[float] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not os.path.exists(end_file):
        started = time.perf_counter()
        connection.request("GET", "/api/v1/libraries")
        connection.getresponse().read()
        seconds.append(time.perf_counter() - started)
        time.sleep(ASK_EVERY_SECONDS)
    return seconds


@contextmanager
def reading_nothing(port: int) -> Iterator[None]:
    """A client that asked for everything and takes nothing."""
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", port))
        stuck.sendall(f"GET {STREAM}?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        yield


def until_one_is_let_go(service: Service) -> float:
    """How many clients were let go; a client that fits into the buffers of both ends is only after a while."""
    end = time.monotonic() + PATIENCE_WITH_SLOW_CLIENTS
    while not (dropped := service.metric("nomarr_streams_dropped_total")) and time.monotonic() < end:
        time.sleep(0.5)
    return dropped


def all_changes(service: Service) -> list[int]:
    numbers: list[int] = []
    while page := service.ask("GET", f"/api/v1/events?limit=1000&after={numbers[-1] if numbers else 0}")["items"]:
        numbers += [event["seq"] for event in page]
    return numbers


def make_music(work: Path, files: int, *, tiny: bool) -> Path:
    maker = Path(__file__).with_name("make_library.py")
    size = ["--tiny" if tiny else "--files", str(files)]
    subprocess.run([sys.executable, maker, work / "music", *size], check=True, stdout=subprocess.DEVNULL)
    return work / "music"


def measure(work: Path, files: int, clients: int, *, tiny: bool) -> list[Check]:
    music, end_file = make_music(work, files, tiny=tiny), work / "end"
    with (
        ProcessPoolExecutor(2, get_context("spawn")) as others,
        serving(work, music) as service,
        PeakMemory(service.process.pid) as memory,
        reading_nothing(service.port),
    ):
        listeners = others.submit(listen, service.port, clients, files)
        while service.metric("nomarr_streams") < clients + 1:
            time.sleep(0.05)
        asker = others.submit(ask_again_and_again, service.port, str(end_file))
        started = time.monotonic()
        service.ask("POST", "/api/v1/libraries", {"name": "Music", "path": str(music)})
        while service.ask("GET", "/api/v1/libraries")[0]["last_scan_at"] is None:
            time.sleep(0.2)
        scanned = time.monotonic() - started
        got = listeners.result()
        heard = time.monotonic() - started
        end_file.touch()
        seconds = sorted(asker.result())
        there, dropped = all_changes(service), until_one_is_let_go(service)
    complete = sum(numbers == there for numbers in got)
    doubled = sum(len(numbers) - len(set(numbers)) for numbers in got)
    lost = sum(len(set(there) - set(numbers)) for numbers in got)
    p50, p99 = seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.99)]
    what = f"{files:,} files, {clients} listeners"
    return [
        judged("answers", f"{what}: p99 of GET /libraries below {P99_SECONDS * 1000:.0f} ms", p99 < P99_SECONDS,
               f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, longest {seconds[-1] * 1000:.0f} ms of "
               f"{len(seconds)}; scanned in {scanned:.1f} s"),
        judged("events", f"{what}: none lost or doubled across reconnects", complete == clients,
               f"{len(there):,} changes, {lost} lost, {doubled} doubled, all heard after {heard:.1f} s"),
        judged("slow", "a client that reads nothing is let go", dropped >= 1,
               f"{dropped:.0f} let go; {memory.peak_bytes / 1e6:.0f} MB at most, worker processes included"),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000, help="audio files (default 20000)")
    parser.add_argument("--clients", type=int, default=50, help="clients that listen (default 50)")
    parser.add_argument("--tiny", action="store_true", help="tiny files instead of realistic ones")
    parser.add_argument("--work", type=Path, help="where the folders are made (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nomarr-service-", dir=options.work) as work:
        checks = measure(Path(work), options.files, options.clients, tiny=options.tiny)
    for check in checks:
        print(f"{check.state} {check.line:8} {check.text}: {check.measured}")
    return int(any(check.state == FAIL for check in checks))


if __name__ == "__main__":
    sys.exit(main())
