"""`nomarr watch` and `nomarr scan` as processes while their server refuses or is away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.arango import ArangoDouble
from support.arango.faults import LOGIN_REFUSED, UNAVAILABLE, Fault, no_faults
from support.arango.requests import Request
from support.music import build, tone
from support.patience import promised

from nomarr.persistence.database.queries import SCAN_COMPLETED
from nomarr.persistence.database.rows_operations import key_of

UNREACHABLE, INTERRUPTED, TERMINATED = 3, 130, 143


@contextmanager
def running(
    server: ArangoDouble, folder: Path, options: str = "", *, command: Sequence[str] = ("watch", "music"), **more: str
) -> Iterator[subprocess.Popen[str]]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
    environment = kept | {
        "HOME": str(folder / "home"),
        "NOMARR_DATABASE_URL": server.database_url() + options,
        "NOMARR_DATA_FOLDER": str(folder / "data"),
        "NOMARR_SETTLE_SECONDS": "0",
        "NOMARR_TAG_WORKERS": "1",
        "NOMARR_ENABLE_ENRICHMENT": "false",
        **more,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "nomarr", *command],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str], words: str) -> None:
    """Reads what it says until these words come."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return
    raise AssertionError(f"it ended without telling {words!r}: {lines}")


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return build(tmp_path / "music", {"A": {"first.wav": tone(100)}})


def test_it_outlasts_a_refusal_and_tells_the_changes_later(server: ArangoDouble, tmp_path: Path, music: Path) -> None:
    with running(server, tmp_path) as process:
        told(process, "first.wav")
        told(process, "music: watching")
        server.faults = lambda request: LOGIN_REFUSED
        told(process, "changes are told later")
        server.faults = no_faults
        (music / "A" / "second.wav").write_bytes(tone(300))
        told(process, "second.wav")


@pytest.mark.parametrize(("fault", "options"), [(LOGIN_REFUSED, ""), (UNAVAILABLE, "?patience_seconds=1")])
def test_it_outlasts_a_refusal_that_comes_while_a_scan_ends(
    server: ArangoDouble, tmp_path: Path, music: Path, fault: Fault, options: str
) -> None:
    refused: list[Request] = []

    def refuse_the_end(request: Request) -> Fault | None:
        if request.query == SCAN_COMPLETED:
            refused.append(request)
        return fault if refused else None

    server.faults = refuse_the_end
    with running(server, tmp_path, options) as process:
        told(process, "changes are told later")
        assert refused
        server.faults = no_faults
        (music / "A" / "second.wav").write_bytes(tone(300))
        # Long before the lease has run out that was not given back.
        began = time.monotonic()
        told(process, "second.wav")
        assert time.monotonic() - began < 30


@pytest.mark.parametrize("level", ["warning", "debug"])
def test_a_service_that_can_not_start_says_so_in_one_line(server: ArangoDouble, tmp_path: Path, level: str) -> None:
    refused: list[Request] = []

    def refuse_settings(request: Request) -> Fault | None:
        if key_of("service_settings").encode() in request.body:
            refused.append(request)
        return LOGIN_REFUSED if refused else None

    server.faults = refuse_settings
    with running(server, tmp_path, command=["serve", "--port", "0"], NOMARR_LOG_LEVEL=level) as process:
        assert process.stdout is not None
        *before, line = process.stdout.read().splitlines()
        assert process.wait(promised(4)) == UNREACHABLE
    assert refused
    assert line.startswith("error: ")
    assert "refused the user or the password" in line
    assert ("Traceback (most recent call last):" in before) if level == "debug" else before == []


def test_a_signal_ends_a_service_that_waits_to_start(server: ArangoDouble, tmp_path: Path) -> None:
    is_asked = threading.Event()

    def refuse_settings(request: Request) -> Fault | None:
        if key_of("service_settings").encode() in request.body:
            is_asked.set()
        return UNAVAILABLE if is_asked.is_set() else None

    server.faults = refuse_settings
    with running(server, tmp_path, "?patience_seconds=60", command=["serve", "--port", "0"]) as process:
        assert is_asked.wait(20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(promised(4)) == TERMINATED
        assert process.stdout is not None
        assert process.stdout.read() == "stopped serving\n"


def test_a_signal_ends_it_soon_while_the_server_is_away(server: ArangoDouble, tmp_path: Path, music: Path) -> None:
    is_asked = threading.Event()

    def refuse(request: Request) -> Fault:
        is_asked.set()
        return UNAVAILABLE

    with running(server, tmp_path, "?patience_seconds=60") as process:
        told(process, "first.wav")
        told(process, "music: watching")
        server.faults = refuse
        assert is_asked.wait(20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(promised(4)) == TERMINATED


def test_a_scan_is_interrupted_at_once_while_the_server_is_away(
    server: ArangoDouble, tmp_path: Path, music: Path
) -> None:
    is_asked = threading.Event()

    def refuse_batches(request: Request) -> Fault | None:
        if b"last_batch" not in request.body:
            return None
        is_asked.set()
        return UNAVAILABLE

    server.faults = refuse_batches
    with running(server, tmp_path, "?patience_seconds=60", command=["scan", "music"]) as process:
        assert is_asked.wait(20)
        process.send_signal(signal.SIGINT)
        assert process.wait(promised(4)) == INTERRUPTED
        assert process.stdout is not None
        assert "error" not in process.stdout.read()
