"""One process that looks into files, seen from the one that it works for."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from nomarr.components.media.worker_program_comp import ANSWER_HEADER

__all__ = ["WorkerProcess", "WorkerWillNotStart"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_PROGRAM: Final = "import {}; from nomarr.components.media.worker_program_comp import answer_requests as run; run()"
_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 1.0
_SILENT: Final = (TimeoutError, anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, OSError)


class WorkerWillNotStart(Exception):
    """No process can be started here, or none that finds Nomarr."""


class WorkerProcess:
    """A worker process: ended by its user, or by itself when its user dies.

    Unlike `multiprocessing` and `anyio.to_process` it does not run the main program of its parent again: a script
    that lacks `if __name__ == "__main__":` must not scan a second time, and a worker starts three times as fast.
    """

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._requests = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout)
        self.is_ready = False
        """True while it waits for work; one that was interrupted or stood still never is again."""

    @classmethod
    async def start(cls, module: str) -> WorkerProcess:
        """Start a process and wait until it is ready; raises `WorkerWillNotStart`.

        Args:
            module: what it will need, so that the first work does not wait for it to be imported.
        """
        # -P: a file of the current folder, perhaps a folder with music, is not imported.
        paths = [os.environ.get("PYTHONPATH", ""), *sys.path]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        try:
            # Shielded, so that a process which was started is always known to whoever has to end it.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    [sys.executable, "-P", "-c", _PROGRAM.format(module)],
                    stderr=None,
                    env=environment,
                    # Ctrl-C is for the parent, which then ends its workers.
                    start_new_session=True,
                )
        except OSError as error:
            raise WorkerWillNotStart(str(error)) from error
        worker = cls(process)
        try:
            with anyio.fail_after(_START_SECONDS):
                await worker._answer()
            worker.is_ready = True
        except _SILENT as error:
            raise WorkerWillNotStart("it ended or stood still before it was ready") from error
        finally:
            if not worker.is_ready:
                await worker.end()
        return worker

    async def run(self, work: Callable[[Item], Answer], items: Sequence[Item], patience: float) -> list[Answer]:
        """What `work` answers for `items`, in order; fewer if the process died or was silent for `patience` seconds.

        Args:
            work: a function of a module; it travels by its name.
        """
        answers: list[Answer] = []
        self.is_ready = False
        try:
            await self._requests.send(pickle.dumps((work, list(items))))
            while len(answers) < len(items):
                with anyio.fail_after(patience):
                    answers += await self._answer()
        except _SILENT:
            return answers
        self.is_ready = True
        return answers

    async def end(self) -> None:
        """End the process. One that hangs in the kernel, as on a dead network share, is not waited for."""
        self.is_ready = False
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                self._process.kill()
            with anyio.move_on_after(_END_SECONDS):
                await self._process.wait()
            await self._requests.aclose()
            await self._answers.aclose()

    async def _answer(self) -> list[Any]:
        (length,) = ANSWER_HEADER.unpack(await self._answers.receive_exactly(ANSWER_HEADER.size))
        pickled = await self._answers.receive_exactly(length)
        answers: list[Any] = pickle.loads(pickled)  # noqa: S301 - from the process that was started here
        return answers
