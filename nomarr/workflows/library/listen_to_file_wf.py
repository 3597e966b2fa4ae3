"""What only decoding tells of a file: its fingerprint, and its length where the header gives a guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import anyio.to_thread

from nomarr.components.media.audio_file_comp import UnreadableAudio
from nomarr.components.media.duration_comp import ffprobe_command, is_duration_estimated, parse_ffprobe
from nomarr.components.media.fingerprint_comp import (
    Fingerprint,
    fpcalc_command,
    fpcalc_command_for_several,
    parse_fpcalc,
    parse_fpcalc_of_several,
)
from nomarr.components.media.tools_comp import FFPROBE, FPCALC, find_tool
from nomarr.helpers.exceptions import ToolError, ToolMissing, ToolOutputTooLong, ToolTimedOut
from nomarr.workflows.library.run_tool_wf import run_tool

__all__ = ["Listener", "UndecodableAudio"]

_OUTPUT_BYTES: Final = 1 << 20


class UndecodableAudio(Exception):
    """A file that can't be decoded; `str()` continues a sentence that begins with the file's name."""


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

    async def fingerprints(self, paths: Sequence[str]) -> list[Fingerprint | UndecodableAudio | None]:
        """What `fingerprint` gives or raises for each path; all of them together may take as long as one alone."""
        if self.hears_several and len(paths) > 1 and (together := await self._together(paths)) is not None:
            return [*together]
        alone = [await self._alone(path) for path in paths]
        if len(paths) > 1 and not any(isinstance(answer, UndecodableAudio) for answer in alone) and all(alone):
            self.hears_several = False
        return alone

    async def _together(self, paths: Sequence[str]) -> list[Fingerprint | None] | None:
        """None if there is anything wrong with one of them: which one it is shows when each is heard alone."""
        if self.fpcalc is None:
            return [None for _ in paths]
        try:
            answer = await run_tool(
                fpcalc_command_for_several(self.fpcalc, paths),
                timeout_seconds=self.timeout_seconds,
                max_output_bytes=_OUTPUT_BYTES,
            )
        except (ToolError, OSError):
            return None
        return parse_fpcalc_of_several(len(paths), answer.returncode, answer.stdout)

    async def _alone(self, path: str) -> Fingerprint | UndecodableAudio | None:
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
