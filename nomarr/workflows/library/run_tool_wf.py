"""Run an external tool: its time and its output have bounds, and it is gone afterwards, however this ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final

import anyio
from anyio.abc import Process

from nomarr.helpers.exceptions import ToolMissing, ToolOutputTooLong, ToolTimedOut

__all__ = ["ToolResult", "run_tool"]

_BLOCK_BYTES: Final = 65_536
_STDERR_BYTES: Final = 16_384
_END_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class ToolResult:
    """How a tool ended; a negative `returncode` is the signal that ended it."""

    returncode: int
    stdout: bytes
    stderr: bytes
    """The last 16 KiB of it."""


async def run_tool(
    command: Sequence[str | bytes],
    *,
    timeout_seconds: float,
    max_output_bytes: int,
    on_line: Callable[[bytes], None] = lambda _: None,
) -> ToolResult:
    """Run `command` to its end and return what it wrote; `on_line` gets each line of it as soon as it is complete.

    It reads nothing, gets no Ctrl-C, and is killed with its children when it takes too long, writes more than
    `max_output_bytes` to stdout, or when the caller is cancelled. File names in `command` are absolute paths. Raises
    ToolMissing, ToolTimedOut and ToolOutputTooLong, and OSError when the system can't start any process.
    """
    name = os.path.basename(os.fsdecode(command[0]))
    with _Pipe() as output, _Pipe() as errors:
        process = await _start(command, name, output, errors)
        run = _Run(process, output, errors, max_output_bytes, on_line)
        try:
            with anyio.fail_after(timeout_seconds):
                await run.follow()
        except TimeoutError:
            raise ToolTimedOut(name, timeout_seconds) from None
        finally:
            await run.end()
        if run.wrote_too_much:
            raise ToolOutputTooLong(name, max_output_bytes)
        assert process.returncode is not None
        return ToolResult(process.returncode, bytes(run.stdout), bytes(run.stderr))


class _Pipe:
    """A pipe of our own: one that a stranger holds open can still be closed here, which asyncio's can't."""

    def __init__(self) -> None:
        self.source, self.sink = os.pipe()
        os.set_blocking(self.source, False)
        self.has_ended = False

    def __enter__(self) -> _Pipe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close_sink()
        os.close(self.source)

    def close_sink(self) -> None:
        """Our copy of the writing end: only without it is the end of the output seen."""
        if self.sink >= 0:
            os.close(self.sink)
            self.sink = -1

    async def read(self, take: Callable[[bytes], None]) -> None:
        """Hand everything over until nobody holds the writing end any more."""
        while not self.has_ended:
            await anyio.wait_readable(self.source)
            with suppress(BlockingIOError):
                block = os.read(self.source, _BLOCK_BYTES)
                self.has_ended = not block
                take(block)


class _Run:
    """One process and what it writes."""

    def __init__(
        self,
        process: Process,
        output: _Pipe,
        errors: _Pipe,
        max_output_bytes: int,
        on_line: Callable[[bytes], None],
    ) -> None:
        self._process = process
        self._output = output
        self._errors = errors
        self._max_output_bytes = max_output_bytes
        self._on_line = on_line
        self._told_bytes = 0
        self._readers = anyio.CancelScope()
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.wrote_too_much = False

    async def follow(self) -> None:
        """Until the process has ended and its output is read, or until it wrote too much."""
        with self._readers:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._output.read, self._take_output)
                tasks.start_soon(self._errors.read, self._take_errors)
                await self._process.wait()
                # A child that outlives the tool and holds its pipes: what the tool wrote is there already.
                self._readers.deadline = anyio.current_time() + _END_SECONDS

    async def end(self) -> None:
        """Leave no process behind. One that hangs in the kernel, as on a dead network share, is not waited for."""
        if self._process.returncode is None or not (self._output.has_ended and self._errors.has_ended):
            # The tool leads its group, so the children go with it; once all are gone there is no such group.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with anyio.move_on_after(_END_SECONDS, shield=True):
            await self._process.wait()

    def _take_output(self, block: bytes) -> None:
        if len(self.stdout) + len(block) > self._max_output_bytes:
            self.wrote_too_much = True
            self._readers.cancel()
        else:
            self.stdout += block
            self._tell_lines()

    def _tell_lines(self) -> None:
        while (end := self.stdout.find(b"\n", self._told_bytes)) >= 0:
            self._on_line(bytes(self.stdout[self._told_bytes : end]))
            self._told_bytes = end + 1

    def _take_errors(self, block: bytes) -> None:
        self.stderr += block
        del self.stderr[:-_STDERR_BYTES]


async def _start(command: Sequence[str | bytes], name: str, output: _Pipe, errors: _Pipe) -> Process:
    try:
        # Shielded, so that a process which was started is always known to those who have to end it.
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output.sink,
                stderr=errors.sink,
                start_new_session=True,
            )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as problem:
        raise ToolMissing(name) from problem
    finally:
        output.close_sink()
        errors.close_sink()
    return process
