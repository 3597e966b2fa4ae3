"""Ctrl-C and SIGTERM during a scan, and what other processes see meanwhile."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CommandLine
from on_terminal import SHOW_CURSOR, on_terminal
from support.music import tone
from support.patience import promised

FILES = 3000
INTERRUPTED, TERMINATED, BUSY = 130, 143, 4


@pytest.fixture
def endless(cli: CommandLine, music_tree: Callable[..., Path]) -> CommandLine:
    """A library whose scan goes on until it is stopped: its files are new, and it waits a minute for them to settle."""
    content = tone(100)
    folders = {f"album {number}": {f"{n}.wav": content for n in range(100)} for number in range(FILES // 100)}
    assert cli("library", "add", "Music", music_tree(folders)).code == 0
    return CommandLine(cli.folder, {"NOMARR_SETTLE_SECONDS": "60"})


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)])
def test_a_signal_cancels_a_scan_within_a_second(
    cli: CommandLine, endless: CommandLine, number: int, code: int
) -> None:
    with on_terminal(endless, "scan", "Music") as scan:
        scan.wait_for(b"files")
        ended, seconds = scan.end(number)
    assert ended == code
    assert seconds < promised(1.5)  # a second, and the end of the process
    assert scan.seen.rstrip().endswith(b"stopped; what was scanned until now is kept")
    assert scan.seen.rindex(SHOW_CURSOR) > scan.seen.index(b"files")
    assert b"Traceback" not in scan.seen
    assert cli("library", "show", "Music", "--json").json["state"] == "cancelled"
    assert cli("scans", "--json").json[0]["state"] == "cancelled"
    assert cli("scan", "Music", "--json").code == 0
    assert cli("library", "show", "Music", "--json").json["files"] == FILES


def test_a_library_that_is_being_scanned_is_busy(cli: CommandLine, endless: CommandLine) -> None:
    with on_terminal(endless, "scan", "Music") as scan:
        scan.wait_for(b"files")
        assert cli("library", "show", "Music", "--json").json["state"] == "scanning"
        for command in (("scan", "Music", "--no-wait", "--json"), ("library", "remove", "Music", "--yes")):
            finished = cli(*command)
            assert "is being scanned" in finished.error
            assert finished.code == BUSY
        scan.end(signal.SIGINT)


def test_a_waiting_scan_can_be_given_up(cli: CommandLine, endless: CommandLine) -> None:
    with on_terminal(endless, "scan", "Music") as scan:
        scan.wait_for(b"files")
        with on_terminal(cli, "scan", "Music") as waiting:
            waiting.wait_for(b"waiting for it")
            assert waiting.end(signal.SIGINT)[0] == INTERRUPTED
        scan.end(signal.SIGINT)


def test_following_events_ends_at_once(scanned: CommandLine) -> None:
    process = subprocess.Popen(
        scanned.command("events", "--follow", "--json"), env=scanned.environment, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"seq": 1')
        process.send_signal(signal.SIGINT)
        assert process.wait() == INTERRUPTED
