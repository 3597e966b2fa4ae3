"""The progress of scans and of what comes after them, drawn on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from nomarr.helpers.dto.scan import ScanPhase, ScanProgress
from nomarr.helpers.paths_helper import readable, strip_control
from nomarr.interfaces.cli.enrichment_words_cli import activity, step_counts, step_speed
from nomarr.interfaces.cli.output_cli import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from nomarr.helpers.dto.answers import ComparisonProgress
    from nomarr.helpers.dto.enrichment import EnrichmentProgress
    from nomarr.helpers.dto.stored import RowProgress

__all__ = ["NoProgress", "ProgressBars", "counts", "phase", "progress_display", "speed", "steps"]

_PHASES: Final = {
    ScanPhase.WALKING: "looking",
    ScanPhase.MOVING: "matching moves",
    ScanPhase.READING: "reading tags",
    ScanPhase.FINISHING: "finishing",
    ScanPhase.SETTLING: "waiting for files to settle",
}
_NAME_WIDTH: Final = 16
_REDRAWS_PER_SECOND: Final = 8
_ROOM_FOR_KEYS: Final = 4
_ROOM_FOR_FOLDER: Final = 100
"""Columns from which on the current folder is shown, too."""


def progress_display(*, wanted: bool) -> ProgressBars | NoProgress:
    """Bars if somebody can see them."""
    return ProgressBars() if wanted and sys.stderr.isatty() else NoProgress()


class NoProgress:
    """Nobody watches."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was drawn."""

    def bar(self, name: str) -> Callable[[ScanProgress], None] | None:
        """No one to tell."""
        return None

    def enrichment_bar(self, name: str) -> Callable[[EnrichmentProgress], None] | None:
        """No one to tell."""
        return None

    def comparison_bar(self, name: str) -> Callable[[ComparisonProgress], None] | None:
        """No one to tell."""
        return None

    def row_bar(self, name: str) -> Callable[[RowProgress], None] | None:
        """No one to tell."""
        return None


class ProgressBars:
    """A bar for each thing that goes on; gone when the block ends."""

    def __init__(self) -> None:
        self._progress = _progress()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def bar(self, name: str) -> Callable[[ScanProgress], None]:
        """A new bar; call the answer with how far the scan is."""
        task = self._add(name)
        return lambda progress: self._update(task, progress)

    def enrichment_bar(self, name: str) -> Callable[[EnrichmentProgress], None]:
        """A new bar; call the answer with how far enrichment is."""
        task = self._add(name)
        return lambda progress: self._update_enrichment(task, progress)

    def comparison_bar(self, name: str) -> Callable[[ComparisonProgress], None]:
        """A new bar; call the answer with how far the search is."""
        task = self._add(name)
        return lambda progress: self._update_comparison(task, progress)

    def row_bar(self, name: str) -> Callable[[RowProgress], None]:
        """A new bar; call the answer with how far a copy or check is."""
        task = self._add(name)
        return lambda progress: self._update_rows(task, progress)

    def _add(self, name: str) -> TaskID:
        return self._progress.add_task(
            _shortened(strip_control(name), _NAME_WIDTH), total=None, phase="starting", counts="", speed="", folder=""
        )

    def _update(self, task: TaskID, progress: ScanProgress) -> None:
        done, total = steps(progress)
        self._progress.update(
            task,
            completed=done,
            total=total,
            phase=phase(progress),
            counts=counts(progress),
            speed=speed(progress),
            folder=readable(progress.current_folder),
        )

    def _update_enrichment(self, task: TaskID, progress: EnrichmentProgress) -> None:
        self._progress.update(
            task,
            completed=progress.steps_done,
            total=progress.steps_total or None,
            phase=activity(progress),
            counts=step_counts(progress),
            speed=step_speed(progress),
        )

    def _update_comparison(self, task: TaskID, progress: ComparisonProgress) -> None:
        left = f" {duration(progress.eta_seconds)} left" if progress.eta_seconds else ""
        self._progress.update(
            task,
            completed=progress.done,
            total=progress.total or None,
            phase="comparing",
            counts=f"{progress.done:,}/{progress.total:,} fingerprints",
            speed=f"{progress.per_second:,.0f}/s{left}",
        )

    def _update_rows(self, task: TaskID, progress: RowProgress) -> None:
        self._progress.update(
            task,
            completed=progress.rows_done,
            total=progress.rows_total or None,
            phase=progress.step.value,
            counts=f"{progress.rows_done:,}/{progress.rows_total:,} rows",
            folder=progress.table.value,
        )


def _progress() -> Progress:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType
    from rich.constrain import Constrain
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
    from rich.table import Column

    terminal = Console(stderr=True, highlight=False)

    class NarrowProgress(Progress):
        """Leaves room for the `^C` that a terminal shows: in a full line it would push the bar out of our reach."""

        def get_renderables(self) -> Iterable[RenderableType]:
            yield Constrain(self.make_tasks_table(self.tasks), terminal.width - _ROOM_FOR_KEYS)

    def column(field: str, style: str = "none", *, share: int | None = None) -> TextColumn:
        fitted = Column(no_wrap=True, overflow="ellipsis", ratio=share)
        return TextColumn(f"{{task.{field}}}", style=style, markup=False, table_column=fitted)

    columns: list[ProgressColumn] = [
        column("description", "bold"),
        BarColumn(bar_width=14),
        column("fields[phase]", "cyan"),
        column("fields[counts]"),
        column("fields[speed]", "dim"),
    ]
    if terminal.width >= _ROOM_FOR_FOLDER:
        columns.append(column("fields[folder]", "dim", share=1))
    return NarrowProgress(
        *columns,
        console=terminal,
        refresh_per_second=_REDRAWS_PER_SECOND,
        transient=True,
        expand=True,
    )


def phase(progress: ScanProgress) -> str:
    """What the scan is doing."""
    return _PHASES[progress.phase]


def steps(progress: ScanProgress) -> tuple[float, float | None]:
    """What the bar shows: folders while walking, files while reading."""
    if progress.files_total:
        return progress.files_done, progress.files_total
    total = progress.folders_total
    return progress.folders_done, None if total is None else max(total, progress.folders_done)


def counts(progress: ScanProgress) -> str:
    """`120/300 files`, or folders while walking."""
    if progress.files_total:
        return f"{progress.files_done:,}/{progress.files_total:,} files"
    of_total = f"/{progress.folders_total:,}" if progress.folders_total else ""
    return f"{progress.folders_done:,}{of_total} folders"


def speed(progress: ScanProgress) -> str:
    """`412/s 0:01 left`; nothing while walking."""
    if not progress.files_total or not progress.files_per_second:
        return ""
    left = f" {duration(progress.eta_seconds)} left" if progress.eta_seconds else ""
    return f"{progress.files_per_second:,.0f}/s{left}"


def _shortened(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"
