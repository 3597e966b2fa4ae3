"""`nomarr serve` and `nomarr token` as processes."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from support.music import tone

USAGE, INTERRUPTED, TERMINATED = 2, 130, 143
STOP_SECONDS = 10


class Service:
    """A service that runs, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], host: str, port: int) -> None:
        self.process, self.host, self.port = process, host, port

    def ask(self, path: str, **headers: str) -> tuple[int, Any]:
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=10)) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def end(self, number: int) -> tuple[int, float]:
        started = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(timeout=2 * STOP_SECONDS), time.monotonic() - started


@contextmanager
def serving(cli: CommandLine, *arguments: str | Path) -> Iterator[Service]:
    command = cli.command("serve", "--port", "0", *arguments)
    with subprocess.Popen(command, env=cli.environment, cwd=cli.folder, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(rb"serving http://([\d.]+):(\d+)", line):
                    yield Service(process, found[1].decode(), int(found[2]))
                    break
            else:
                pytest.fail("the service did not start")
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)])
def test_a_folder_is_served_watched_and_left_in_order(
    cli: CommandLine, music_tree: Callable[..., Path], number: int, code: int
) -> None:
    music = music_tree({"a.wav": tone(200)})
    with serving(cli, music) as service, socket.create_connection((service.host, service.port)) as listening:
        (library,) = service.ask("/api/v1/libraries")[1]
        assert library["root_path"] == str(music)
        listening.sendall(b"GET /api/v1/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        heard = b""
        while b"event: change" not in heard:
            heard += listening.recv(65536)
        ended, seconds = service.end(number)
        while listening.recv(65536):
            pass
        assert service.process.stderr is not None
        assert service.process.stderr.read() == b"stopped serving\n"
    assert (ended, seconds < STOP_SECONDS) == (code, True)
    assert cli("library", "show", "music", "--json").json["files"] == 1


def test_requests_that_never_arrive_do_not_hold_the_end_up(cli: CommandLine) -> None:
    half = b"POST /api/v1/libraries HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    with serving(cli) as service, ExitStack() as stack:
        clients = [stack.enter_context(closing(connected(service))) for _ in range(20)]
        for client in clients:
            client.sendall(half)
        assert service.ask("/healthz")[0] == 200
        _, seconds = service.end(signal.SIGTERM)
        assert {client.recv(65536).partition(b"\r\n")[0] for client in clients} == {b"HTTP/1.1 503 Service Unavailable"}
        assert service.process.stderr is not None
        assert service.process.stderr.read() == b"stopped serving\n"
    assert seconds < 3


def connected(service: Service) -> socket.socket:
    return socket.create_connection((service.host, service.port), timeout=20)


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "nowhere.invalid"])
def test_what_is_no_address_of_this_computer_is_refused(cli: CommandLine, host: str) -> None:
    assert cli("token", "create").code == 0
    refused = cli("serve", "--host", host)
    assert (refused.code, host in refused.error) == (USAGE, True)


def test_others_are_served_with_a_token_only(cli: CommandLine) -> None:
    refused = cli("serve", "--host", "0.0.0.0", "--port", "0")
    assert (refused.code, "nomarr token create" in refused.error) == (USAGE, True)
    token = cli("token", "create").out.strip()
    with serving(cli, "--host", "0.0.0.0") as service:
        assert service.ask("/api/v1/libraries")[0] == 401
        assert service.ask("/api/v1/libraries", Authorization=f"Bearer {token}") == (200, [])
        service.end(signal.SIGTERM)
    assert cli("token", "revoke").code == 0
    with serving(cli, "--host", "0.0.0.0") as service:
        assert service.ask("/api/v1/libraries", Authorization=f"Bearer {token}")[0] == 401


def test_variables_say_where_to_listen(cli: CommandLine) -> None:
    cli.settings |= {"NOMARR_SERVE_HOST": "127.0.0.2", "NOMARR_SERVE_REQUIRE_TOKEN": "true", "NOMARR_SERVE_PORT": "1"}
    assert cli("token", "create").code == 0
    # The port of the command line wins.
    with serving(cli) as service:
        assert service.host == "127.0.0.2"
        assert service.ask("/api/v1/libraries")[0] == 401
        service.end(signal.SIGTERM)
        assert service.process.stderr is not None
        assert service.process.stderr.read() == b"stopped serving\n"


@pytest.mark.parametrize("port", ["tcp://10.0.0.1:8337", "70000"])
def test_a_wrong_variable_of_serve_is_told(cli: CommandLine, port: str) -> None:
    cli.settings["NOMARR_SERVE_PORT"] = port
    finished = cli("serve")
    assert (finished.code, "NOMARR_SERVE_PORT" in finished.error) == (USAGE, True)


def test_a_wrong_port_of_the_command_line_is_not_blamed_on_the_variable(cli: CommandLine) -> None:
    cli.settings["NOMARR_SERVE_PORT"] = "1"
    finished = cli("serve", "--port", "80000")
    assert finished.error.startswith("error: invalid value for '--port': ")
    assert "NOMARR_SERVE_PORT" not in finished.error
    assert finished.code == USAGE


def test_a_service_that_may_open_no_more_files_says_so_once_and_goes_on(cli: CommandLine) -> None:
    # Whatever else would open a file just then would say something, too.
    cli.settings["NOMARR_ENABLE_ENRICHMENT"] = "false"
    with serving(cli) as service:
        process, said = service.process, service.process.stderr
        assert said is not None
        usual = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (lowest_free_file(process.pid), usual[1]))
        with socket.create_connection((service.host, service.port)) as waiting:
            waiting.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"no more files can be opened" in said.readline()
            began, used = time.monotonic(), cpu_seconds(process.pid)
            waiting.settimeout(3)
            with pytest.raises(TimeoutError):
                waiting.recv(1)
            assert cpu_seconds(process.pid) - used < 0.2 * (time.monotonic() - began)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, usual)
            waiting.settimeout(20)
            assert waiting.recv(100).startswith(b"HTTP/1.1 200")
        service.end(signal.SIGTERM)
        assert said.read() == b"stopped serving\n"


def lowest_free_file(pid: int) -> int:
    """The limit with which a process can't open any more."""
    used = set(os.listdir(f"/proc/{pid}/fd"))
    return next(number for number in itertools.count() if str(number) not in used)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_port_that_is_taken_is_told(cli: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finished = cli("serve", "--port", str(taken.getsockname()[1]))
    assert (finished.code, "another one with --port or NOMARR_SERVE_PORT" in finished.error) == (USAGE, True)
