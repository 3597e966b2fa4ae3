"""One process that reads tags, seen from the scan that it works for."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from nomarr.components.media.read_files_comp import ANSWER_HEADER, ReadFile

__all__ = ["TagWorker", "WorkerWillNotStart"]

_PROGRAM: Final = "from nomarr.components.media.read_files_comp import answer_requests as run; run()"
_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 1.0
_SILENT: Final = (TimeoutError, anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, OSError)


class WorkerWillNotStart(Exception):
    """No process can be started here, or none that finds Nomarr."""


class TagWorker:
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
    async def start(cls) -> TagWorker:
        """Start a process and wait until it is ready; raises `WorkerWillNotStart`."""
        # -P: a file of the current folder, perhaps a folder with music, is not imported.
        paths = [os.environ.get("PYTHONPATH", ""), *sys.path]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        try:
            process = await anyio.open_process(
                [sys.executable, "-P", "-c", _PROGRAM],
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

    async def read(self, paths: Sequence[str], patience: float) -> list[ReadFile]:
        """The answers for `paths`, in their order; fewer if the process died or was silent for `patience` seconds."""
        files: list[ReadFile] = []
        self.is_ready = False
        try:
            await self._requests.send(pickle.dumps(list(paths)))
            while len(files) < len(paths):
                with anyio.fail_after(patience):
                    files += await self._answer()
        except _SILENT:
            return files
        self.is_ready = True
        return files

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

    async def _answer(self) -> list[ReadFile]:
        (length,) = ANSWER_HEADER.unpack(await self._answers.receive_exactly(ANSWER_HEADER.size))
        answer = await self._answers.receive_exactly(length)
        files: list[ReadFile] = pickle.loads(answer)  # noqa: S301 - from the process that was started here
        return files
