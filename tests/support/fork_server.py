"""Programs that need not import anything: forks of a process that has imported what `nomarr` imports.

Such a fork is what a program started by Python is: it has arguments, environment, current folder and streams of its
own, and ends as any program does. Only what Python reads once when it starts (its options, its PYTHON* variables, the
locale), and what /proc tells of how it was started, is that of the process before. Whoever tests such things, or
imports, starts a real program.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["ForkServer", "Forked", "fork_server", "inherited"]

_MESSAGE_BYTES = 1 << 17
_STREAMS = 3
_SELDOM = ("nomarr.__main__", "nomarr.interfaces.api")
"""What most programs never import."""
_LATE = ("anyio._backends._asyncio", "rich.console", "rich.progress", "rich.table")
"""What functions import."""


def inherited() -> dict[str, str]:
    """What programs have of the environment of the tests."""
    return {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}


class Forked:
    """A program that runs, with pipes for its streams; as far as it goes a `subprocess.Popen`."""

    def __init__(self, streams: tuple[int, int, int], news: socket.socket) -> None:
        stdin, stdout, stderr = streams
        self.stdin, self.stdout, self.stderr = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb"), os.fdopen(stderr, "rb")
        self._news = news
        self.pid = int(news.recv(_MESSAGE_BYTES))
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended; negative as `subprocess` tells signals. Raises `TimeoutError`."""
        if self.returncode is None:
            self._news.settimeout(timeout)
            self.returncode = int(self._news.recv(_MESSAGE_BYTES))
            self._news.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        try:
            return self.wait(0)
        except BlockingIOError:
            return None

    def send_signal(self, number: int) -> None:
        """If it still runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def communicate(self, content: bytes) -> tuple[bytes, bytes]:
        """What it writes until nobody holds its streams any more."""
        with ThreadPoolExecutor() as threads, self.stdout, self.stderr:
            told = [threads.submit(stream.read) for stream in (self.stdout, self.stderr)]
            try:
                with suppress(BrokenPipeError), self.stdin:
                    self.stdin.write(content)
                self.wait()
            except BaseException:
                self.send_signal(signal.SIGKILL)
                raise
            stdout, stderr = (stream.result() for stream in told)
        return stdout, stderr


class ForkServer:
    """Starts programs; made by `fork_server`."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders

    def start(
        self,
        program: str,
        *arguments: str,
        environment: Mapping[str, str],
        folder: Path | None = None,
        new_session: bool = False,
    ) -> Forked:
        """Start a module, as `python -m` does, or a file whose name ends with `.py`."""
        (its_stdin, stdin), (stdout, its_stdout), (stderr, its_stderr) = (os.pipe() for _ in range(_STREAMS))
        news, its_news = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        order = json.dumps([program, arguments, dict(environment), os.fspath(folder or Path.cwd()), new_session])
        theirs = [its_stdin, its_stdout, its_stderr]
        with its_news:
            socket.send_fds(self._orders, [order.encode()], [*theirs, its_news.fileno()])
        for stream in theirs:
            os.close(stream)
        return Forked((stdin, stdout, stderr), news)


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    """A process that is ready to fork; it ends with the block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            # -P: the folder of this file is no place to import from.
            [sys.executable, "-P", __file__, str(theirs.fileno())],
            env=inherited(),
            pass_fds=[theirs.fileno()],
            # Of the same kind as those of the programs, since Python looks at them when it starts.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    with ours:
        yield ForkServer(ours)
    _, complaints = server.communicate()
    assert server.returncode == 0, complaints.decode()


# -- in the process that forks --------------------------------------------------------------------------------


def _import_everything() -> None:
    package = importlib.import_module("nomarr")
    for module in pkgutil.walk_packages(package.__path__, "nomarr."):
        if not module.name.startswith(_SELDOM):
            importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)


def _serve(orders: socket.socket) -> None:
    """Fork for each order, until nobody gives any more."""
    # Nobody waits for the keepers.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, descriptors, _, _ = socket.recv_fds(orders, _MESSAGE_BYTES, _STREAMS + 1)
        if not message:
            return
        *streams, news = descriptors
        if os.fork() == 0:
            orders.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _keep(message, streams, socket.socket(fileno=news))
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _keep(message: bytes, streams: Sequence[int], news: socket.socket) -> None:
    """Fork the program and tell how it ends; comes back in the program, once that has ended."""
    pid = os.fork()
    if pid == 0:
        news.close()
        _become(*json.loads(message), streams=streams)
        return
    for stream in streams:
        os.close(stream)
    news.send(b"%d" % pid)
    _, status = os.waitpid(pid, 0)
    # Whoever started it may not want to know any more.
    with suppress(BrokenPipeError):
        news.send(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(
    program: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    new_session: bool,
    streams: Sequence[int],
) -> None:
    if new_session:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    gc.enable()
    if program.endswith(".py"):
        sys.path.insert(0, os.path.dirname(program))
        runpy.run_path(program, run_name="__main__")
    else:
        sys.path.insert(0, folder)
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    gc.disable()
    _import_everything()
    # Nothing of this is garbage; a fork that looked for some would copy all of it.
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as given_orders:
        _serve(given_orders)
