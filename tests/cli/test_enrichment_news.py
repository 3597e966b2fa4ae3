"""Which progress of enrichment is told, and in which words."""

from __future__ import annotations

import pytest

from nomarr.helpers.dto.enrichment import EnrichmentProgress, EnrichmentState, EnrichmentStep
from nomarr.interfaces.cli.enrichment_news_cli import EnrichmentNews
from nomarr.interfaces.cli.enrichment_words_cli import activity, step_counts, step_speed

BUSY, FAILED, IDLE = EnrichmentState.BUSY, EnrichmentState.FAILED, EnrichmentState.IDLE
RUNNING, PAUSED = EnrichmentState.RUNNING, EnrichmentState.PAUSED


def progress(
    done: int, state: EnrichmentState = RUNNING, total: int = 10, problem: str | None = None
) -> EnrichmentProgress:
    return EnrichmentProgress(state, steps_done=done, steps_total=total, problem=problem)


def told(news: EnrichmentNews, now: float) -> list[tuple[str, int]]:
    return [(one.state.value, one.steps_done) for one in news.take(now)]


def test_the_first_progress_is_told_at_once_and_then_the_newest_once_a_second() -> None:
    news = EnrichmentNews()
    news.put(progress(1))
    assert told(news, 100.0) == [("running", 1)]
    news.put(progress(2))
    assert told(news, 100.9) == []
    news.put(progress(3))
    assert told(news, 101.0) == [("running", 3)]
    assert told(news, 105.0) == []


def test_the_end_of_a_run_is_told_at_once_and_is_not_lost_to_the_next_run() -> None:
    news = EnrichmentNews()
    news.put(progress(1))
    assert told(news, 100.0) == [("running", 1)]
    for one in (progress(9), progress(10, IDLE), progress(1), progress(2)):
        news.put(one)
    assert told(news, 100.1) == [("idle", 10)]
    assert told(news, 101.1) == [("running", 2)]


def test_a_pause_is_progress_like_any_other() -> None:
    news = EnrichmentNews()
    news.put(progress(1))
    news.put(progress(1, PAUSED))
    assert told(news, 100.0) == [("paused", 1)]


def test_a_run_with_nothing_to_do_is_no_news() -> None:
    news = EnrichmentNews()
    for state in (RUNNING, IDLE):
        news.put(progress(0, state, total=0))
    assert told(news, 100.0) == []


def test_trouble_is_told_once_and_so_is_its_end() -> None:
    news = EnrichmentNews()
    for _ in range(3):
        news.put(progress(0, BUSY, total=0, problem="another process enriches"))
    assert told(news, 100.0) == [("busy", 0)]
    news.put(progress(0, IDLE, total=0))
    assert told(news, 100.1) == [("idle", 0)]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (progress(3), "hashes and covers"),
        (EnrichmentProgress(RUNNING, EnrichmentStep.SOUND), "fingerprints"),
        (progress(3, PAUSED), "waiting while a scan runs"),
        (progress(10, IDLE), "done"),
        (progress(0, FAILED, problem="the disk is full"), "the disk is full"),
    ],
)
def test_what_enrichment_does_has_words(told: EnrichmentProgress, words: str) -> None:
    assert activity(told) == words


def test_counts_and_speed_are_told_as_people_read_them() -> None:
    one = EnrichmentProgress(RUNNING, EnrichmentStep.SOUND, 1204, 4000, steps_per_second=8.4, eta_seconds=332.9)
    assert (step_counts(one), step_speed(one)) == ("1,204/4,000 steps", "8.4/s 5:33 left")
    assert step_speed(progress(3)) == ""
    fast = EnrichmentProgress(RUNNING, steps_done=5, steps_total=9, steps_per_second=1234.5)
    assert step_speed(fast) == "1,234/s"
