"""What only decoding tells of a file: its fingerprint, and its length where the header gives a guess."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectSendStream

from nomarr.components.media.audio_file_comp import UnreadableAudio
from nomarr.components.media.duration_comp import ffprobe_command, is_duration_estimated, parse_ffprobe
from nomarr.components.media.fingerprint_comp import (
    Fingerprint,
    fpcalc_command,
    fpcalc_command_for_several,
    parse_fpcalc,
)
from nomarr.components.media.tools_comp import FFPROBE, FPCALC, find_tool
from nomarr.helpers.exceptions import ToolError, ToolMissing, ToolOutputTooLong, ToolTimedOut
from nomarr.workflows.library.run_tool_wf import run_tool

__all__ = ["Heard", "Listener", "UndecodableAudio"]

_OUTPUT_BYTES: Final = 1 << 20


class UndecodableAudio(Exception):
    """A file that can't be decoded; `str()` continues a sentence that begins with the file's name."""


Heard: TypeAlias = Fingerprint | UndecodableAudio | None
"""What listening to one file gave; None for a sound without a fingerprint, or without fpcalc."""


@dataclass(slots=True)
class Listener:
    """The tools that decode, as far as they are installed."""

    fpcalc: str | None
    ffprobe: str | None
    timeout_seconds: float
    hears_several: bool = True
    """False once fpcalc has refused several files at a time of which each alone was fine."""

    @classmethod
    def with_what_is_installed(cls, timeout_seconds: float) -> Listener:
        """Look for the tools on the search path."""
        return cls(find_tool(FPCALC), find_tool(FFPROBE), timeout_seconds)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is missing and what that costs."""
        missing = []
        if self.fpcalc is None:
            missing.append("fpcalc is not installed: no fingerprints are made; see 'nomarr doctor'")
        if self.ffprobe is None:
            missing.append("ffprobe is not installed: the length of some files stays a guess; see 'nomarr doctor'")
        return tuple(missing)

    async def fingerprint(self, path: str) -> Fingerprint | None:
        """The fingerprint of an absolute path; None for a sound that is too short or silent, or without fpcalc.

        Raises:
            UndecodableAudio: if it can't be decoded, or takes too long.
        """
        if self.fpcalc is None:
            return None
        try:
            answer = await run_tool(
                fpcalc_command(self.fpcalc, path), timeout_seconds=self.timeout_seconds, max_output_bytes=_OUTPUT_BYTES
            )
            return parse_fpcalc(answer.returncode, answer.stdout, answer.stderr)
        except UnreadableAudio as problem:
            raise UndecodableAudio(str(problem)) from problem
        except ToolTimedOut as problem:
            raise UndecodableAudio(f"takes longer than {self.timeout_seconds:g} s to decode") from problem
        except (ToolMissing, ToolOutputTooLong, OSError) as problem:
            raise UndecodableAudio(f"can't be decoded: {problem}") from problem

    async def fingerprints(self, paths: Sequence[str], deliver: Callable[[int, Heard], Awaitable[None]]) -> None:
        """Have the answer for each path delivered with its place in `paths`, in order, as soon as it is there.

        An answer is what `fingerprint` gives or raises. All of them together may take as long as one alone.
        """
        together = await self._together(paths, deliver) if self.hears_several and len(paths) > 1 else 0
        alone = []
        for place in range(together, len(paths)):
            alone.append(await self._alone(paths[place]))
            await deliver(place, alone[-1])
        if len(alone) == len(paths) > 1 and all(isinstance(answer, Fingerprint) for answer in alone):
            self.hears_several = False

    async def _together(self, paths: Sequence[str], deliver: Callable[[int, Heard], Awaitable[None]]) -> int:
        """Hear several with one process; how many had an answer before the first that has to be heard alone."""
        if self.fpcalc is None:
            return 0
        # What waits in it is no more than a tool may write.
        answers, heard = anyio.create_memory_object_stream[Fingerprint | None](math.inf)
        async with anyio.create_task_group() as tasks, heard:
            tasks.start_soon(self._hear, fpcalc_command_for_several(self.fpcalc, paths), answers)
            for place in range(len(paths)):
                try:
                    answer = await heard.receive()
                except anyio.EndOfStream:
                    return place
                await deliver(place, answer)
        return len(paths)

    async def _hear(self, command: Sequence[str], answers: MemoryObjectSendStream[Fingerprint | None]) -> None:
        """Send one answer for each file, in their order, up to the first that fpcalc is not content with."""

        def send(line: bytes) -> None:
            # Nobody listens to more answers than files, nor to one behind an answer that makes no sense.
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                try:
                    answers.send_nowait(parse_fpcalc(0, line, b""))
                except UnreadableAudio:
                    answers.close()

        with answers, suppress(ToolError, OSError):
            await run_tool(command, timeout_seconds=self.timeout_seconds, max_output_bytes=_OUTPUT_BYTES, on_line=send)

    async def _alone(self, path: str) -> Heard:
        try:
            return await self.fingerprint(path)
        except UndecodableAudio as problem:
            return problem

    async def duration(self, path: str) -> float | None:
        """The measured length in seconds; None where the header's is exact, or nobody can tell.

        Raises:
            UndecodableAudio: if it takes too long, or the file can't be read.
        """
        if self.ffprobe is None:
            return None
        try:
            if not await anyio.to_thread.run_sync(is_duration_estimated, path, abandon_on_cancel=True):
                return None
            answer = await run_tool(
                ffprobe_command(self.ffprobe, path),
                timeout_seconds=self.timeout_seconds,
                max_output_bytes=_OUTPUT_BYTES,
            )
        except UnreadableAudio as problem:
            raise UndecodableAudio(str(problem)) from problem
        except ToolTimedOut as problem:
            raise UndecodableAudio(f"takes longer than {self.timeout_seconds:g} s to measure") from problem
        except (ToolMissing, ToolOutputTooLong, OSError) as problem:
            raise UndecodableAudio(f"can't be measured: {problem}") from problem
        return parse_ffprobe(answer.returncode, answer.stdout, answer.stderr)
