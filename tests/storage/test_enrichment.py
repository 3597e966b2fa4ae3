"""What is due after a scan, and what becomes of what was found out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from storage_kit import (
    START,
    Scan,
    forget_loose_covers,
    fresh_id,
    gone,
    hidden,
    image,
    moved,
    owner,
    read,
    stat,
    store,
    unreadable,
    upsert,
)

from nomarr.helpers.dto.enrichment import (
    DueWork,
    Enrichment,
    EnrichmentJob,
    EnrichmentStep,
    EnrichmentUpdate,
    ProcessingStatus,
)
from nomarr.persistence.db import Database

LATER = START + 1000.0
ART, SOUND = EnrichmentStep


def jobs(scan: Scan, *, now: float = LATER, limit: int = 100) -> list[EnrichmentJob]:
    return scan.db.enrichment.next_jobs(now=now, limit=limit)


def due_paths(scan: Scan, **when: float) -> list[str]:
    return [job.path for job in jobs(scan, **when)]


def job_of(scan: Scan, path: str) -> EnrichmentJob:
    return next(job for job in jobs(scan) if job.path == path)


def found(job: EnrichmentJob, audio_hash: str = "a" * 32, **more: object) -> Enrichment:
    return Enrichment(job.stat, audio_hash, 5000, **more)  # type: ignore[arg-type]


def finish(scan: Scan, path: str, audio_hash: str = "a" * 32, **more: object) -> None:
    """Store both steps of a file."""
    job = job_of(scan, path)
    values = {"fingerprint": "AQAA", "fingerprint_seconds": 12.5} | more
    update = EnrichmentUpdate(job.file_id, job.stat, ProcessingStatus.COMPLETE, None, found(job, audio_hash, **values))
    assert store(scan.db, update)


def art_done(job: EnrichmentJob, **more: object) -> EnrichmentUpdate:
    return EnrichmentUpdate(job.file_id, job.stat, ProcessingStatus.ART_DONE, LATER, found(job, **more))


# -- what is due ----------------------------------------------------------------------------------------------


def test_what_a_scan_read_is_due_newest_first(scan: Scan) -> None:
    for path in ("old", "newer", "newest"):
        scan.add(path)
    assert due_paths(scan) == ["newest", "newer", "old"]
    assert due_paths(scan, limit=1) == ["newest"]


def test_what_a_scan_with_a_wrong_clock_read_is_due_at_once(scan: Scan) -> None:
    scan.now += 900_000.0
    scan.add("d/a", "d/b", "d/c")
    assert sorted(due_paths(scan)) == ["d/a", "d/b", "d/c"]
    for path in ("d/a", "d/b"):
        finish(scan, path)
    scan.write(upserts=[upsert("d/a", number=9)])
    assert sorted(due_paths(scan)) == ["d/a", "d/c"]
    scan.write_images(image("d/cover.jpg"))
    assert sorted(due_paths(scan)) == ["d/a", "d/b", "d/c"]
    assert scan.db.enrichment.due_work(now=LATER) == DueWork(art=3)


def test_each_other_image_makes_a_file_due_anew(scan: Scan) -> None:
    scan.add("d/a")
    seen = [job_of(scan, "d/a").due_at]
    for number in (1, 2, 3):
        scan.write_images(image("d/cover.jpg", number))
        seen.append(job_of(scan, "d/a").due_at)
    assert len(set(seen)) == 4


def test_a_file_that_can_not_be_read_is_not_due_until_it_can(scan: Scan) -> None:
    scan.write(upserts=[upsert("a", tags=unreadable())])
    assert due_paths(scan) == []
    scan.write(upserts=[upsert("a", number=2)])
    assert due_paths(scan) == ["a"]


def test_absent_files_wait(scan: Scan) -> None:
    files = scan.add("missing", "hidden", "there")
    scan.write(gone=[gone(files["missing"])], hidden=[hidden(files["hidden"])])
    assert due_paths(scan) == ["there"]
    scan.write(upserts=[upsert("missing", number=1)])
    assert sorted(due_paths(scan)) == ["missing", "there"]


def test_the_files_of_an_offline_library_wait(scan: Scan) -> None:
    scan.add("a")
    scan.db.library.set_offline(scan.lease, "unplugged", now=scan.now)
    assert due_paths(scan) == []
    assert scan.db.enrichment.due_work(now=LATER) == DueWork()
    scan.db.library.set_offline(scan.lease, None, now=scan.now)
    assert due_paths(scan) == ["a"]


def test_one_library_can_be_asked_for_alone(scan: Scan, other: Scan) -> None:
    scan.add("a")
    other.add("b")
    assert [job.path for job in scan.db.enrichment.next_jobs(now=LATER, limit=9, library_id="other")] == ["b"]
    assert scan.db.enrichment.due_work(now=LATER, library_id="other") == DueWork(art=1)


def test_the_slow_step_comes_when_every_file_had_the_quick_one(scan: Scan) -> None:
    scan.add("a", "b")
    store(scan.db, art_done(job_of(scan, "a")))
    assert [(job.path, job.step) for job in jobs(scan)] == [("b", ART)]
    store(scan.db, art_done(job_of(scan, "b")))
    assert {(job.path, job.step) for job in jobs(scan)} == {("a", SOUND), ("b", SOUND)}


def test_a_file_that_changed_before_its_slow_step_has_the_quick_one_again(scan: Scan) -> None:
    scan.add("a")
    store(scan.db, art_done(job_of(scan, "a")))
    scan.write(upserts=[upsert("a", number=2)])
    assert [(job.path, job.step) for job in jobs(scan)] == [("a", ART)]


def test_what_has_to_wait_is_told_with_its_time(scan: Scan) -> None:
    scan.add("a", "b", "c")
    job = job_of(scan, "a")
    store(
        scan.db, EnrichmentUpdate(job.file_id, job.stat, ProcessingStatus.ERROR, LATER + 60, error="hangs", attempts=1)
    )
    store(scan.db, art_done(job_of(scan, "b")))
    assert scan.db.enrichment.due_work(now=LATER) == DueWork(art=1, sound=1, failed=1, next_due_at=LATER + 60, later=1)
    assert "a" not in due_paths(scan)
    assert "a" in due_paths(scan, now=LATER + 60)


def test_what_is_unfinished_counts_each_file_once(scan: Scan) -> None:
    scan.write(upserts=[upsert("broken", number=7, tags=unreadable())])
    scan.add("done", "retried", "given up", "new")
    for path, due_at in (("retried", LATER), ("given up", None)):
        job = job_of(scan, path)
        failed = EnrichmentUpdate(job.file_id, job.stat, ProcessingStatus.ERROR, due_at, error="hangs", attempts=1)
        store(scan.db, failed)
    finish(scan, "done")
    work = scan.db.enrichment.due_work(now=LATER)
    assert work == DueWork(art=2, failed=3, given_up=2)
    assert (work.files, work.unfinished) == (2, 4)


def test_failed_files_are_listed_with_their_errors(scan: Scan, other: Scan) -> None:
    other.write(upserts=[upsert("a", number=7, tags=unreadable("no audio"))])
    files = scan.add("b", "c", "fine", "gone")
    for path in ("gone", "c", "b"):
        job = job_of(scan, path)
        store(
            scan.db,
            EnrichmentUpdate(job.file_id, job.stat, ProcessingStatus.ERROR, None, error=f"{path} hangs", attempts=1),
        )
    scan.write(gone=[gone(files["gone"])])
    failed = [(file.path, file.last_error) for file in scan.db.enrichment.failed_files(limit=9)]
    assert failed == [("b", "b hangs"), ("c", "c hangs"), ("a", "no audio")]
    assert [file.path for file in scan.db.enrichment.failed_files(limit=1)] == ["b"]


# -- what came of it ------------------------------------------------------------------------------------------


def test_everything_found_is_kept(scan: Scan) -> None:
    scan.add("a")
    job = job_of(scan, "a")
    everything = Enrichment(job.stat, "a" * 32, 5000, "b" * 32, "c" * 64, "AQAA", 12.5, 12.75, "d" * 32)
    update = EnrichmentUpdate(job.file_id, job.stat, ProcessingStatus.ART_DONE, LATER, everything)
    assert store(scan.db, update)
    assert job_of(scan, "a").known == everything
    record = scan.record("a")
    assert (record.processing_status, record.audio_hash, record.cover_id) == ("art_done", "a" * 32, "d" * 32)
    assert (record.content_xxh3, record.content_sha256) == ("b" * 32, "c" * 64)
    assert record.tags.duration_seconds == 12.75
    assert record.fingerprint is None
    [wide] = scan.db.library_files.records("music", fingerprints=True)
    assert wide.fingerprint == "AQAA"


def test_a_file_that_changed_meanwhile_is_done_again(scan: Scan) -> None:
    scan.add("a")
    job = job_of(scan, "a")
    scan.write(upserts=[upsert("a", number=2)])
    assert not store(scan.db, art_done(job))
    assert scan.record("a").audio_hash is None
    assert job_of(scan, "a").stat == stat(2)


def test_enrichment_is_no_change_of_the_file(scan: Scan) -> None:
    scan.add("a")
    before = scan.record("a").updated_at
    scan.new_events()
    finish(scan, "a")
    assert scan.record("a").updated_at == before
    assert scan.new_events() == []


def test_a_finished_file_is_due_again_only_if_it_changed(scan: Scan) -> None:
    scan.add("a")
    finish(scan, "a")
    scan.write(upserts=[upsert("a", number=1)])
    assert due_paths(scan) == []
    scan.write(upserts=[upsert("a", number=1, tags=read("Another title"))])
    job = job_of(scan, "a")
    assert (job.step, job.status) == (ART, ProcessingStatus.COMPLETE)


def test_a_scan_never_resets_what_enrichment_reached(scan: Scan) -> None:
    files = scan.add("a")
    finish(scan, "a")
    scan.write(upserts=[upsert("a", number=2)])
    scan.write(moves=[moved(files["a"], "b")])
    scan.write(gone=[gone(scan.files()["b"])])
    record = scan.record("b")
    assert (record.processing_status, record.audio_hash) == ("complete", "a" * 32)


def test_an_error_of_enrichment_outlives_a_scan_that_reads_the_same_file(scan: Scan) -> None:
    scan.add("a")
    job = job_of(scan, "a")
    failed = EnrichmentUpdate(job.file_id, job.stat, ProcessingStatus.ERROR, None, error="can't be decoded", attempts=5)
    store(scan.db, failed)
    scan.write(upserts=[upsert("a", number=1)])
    record = scan.record("a")
    assert (record.processing_status, record.last_error) == ("error", "can't be decoded")
    assert due_paths(scan) == []
    scan.write(upserts=[upsert("a", number=2)])
    assert scan.record("a").last_error is None
    assert job_of(scan, "a").attempts == 0


def test_a_complaint_about_a_cover_outlives_a_scan_that_reads_the_same_file(scan: Scan) -> None:
    scan.add("a")
    job = job_of(scan, "a")
    store(scan.db, replace(art_done(job), error="its cover can't be used"))
    assert job_of(scan, "a").error == "its cover can't be used"
    scan.write(upserts=[upsert("a", number=1)])
    record = scan.record("a")
    assert (record.processing_status, record.last_error) == ("art_done", "its cover can't be used")
    scan.write(upserts=[upsert("a", number=2)])
    assert scan.record("a").last_error is None


def test_failed_files_can_be_tried_again_at_once(scan: Scan) -> None:
    scan.add("a")
    scan.write(upserts=[upsert("broken", number=5, tags=unreadable())])
    job = job_of(scan, "a")
    failed = EnrichmentUpdate(job.file_id, job.stat, ProcessingStatus.ERROR, None, error="can't be decoded", attempts=5)
    store(scan.db, failed)
    assert scan.db.enrichment.retry_failed(now=LATER) == 1
    [again] = jobs(scan)
    assert (again.path, again.attempts) == ("a", 0)


@pytest.mark.parametrize("change", ["new", "edited", "gone"])
def test_another_folder_image_makes_the_files_of_its_folder_due(scan: Scan, change: str) -> None:
    scan.add("d/a", "d/e/b", "c")
    if change != "new":
        scan.write_images(image("d/cover.jpg"))
    for path in ("d/a", "d/e/b", "c"):
        finish(scan, path)
    assert due_paths(scan) == []
    if change == "gone":
        scan.write_images(gone=["d/cover.jpg"])
    else:
        scan.write_images(image("d/cover.jpg", number=2))
    [job] = jobs(scan)
    assert (job.path, job.step) == ("d/a", ART)
    assert job.known is not None
    assert job.known.is_of(job.stat)


def test_a_file_that_moves_into_another_folder_is_due_for_its_cover(scan: Scan, other: Scan) -> None:
    files = scan.add("d/a", "d/b", "d/c")
    for path in ("d/a", "d/b", "d/c"):
        finish(scan, path)
    scan.write(moves=[moved(files["d/a"], "e/a"), moved(files["d/b"], "d/renamed")])
    other.write(moves=[moved(files["d/c"], "d/c")])
    assert sorted(due_paths(scan)) == ["d/c", "e/a"]
    for job in jobs(scan):
        assert job.step is ART
        assert job.known is not None
        assert job.known.is_of(job.stat)


def test_whole_files_are_hashed_when_that_is_wanted_later(scan: Scan) -> None:
    scan.add("a", "b", "c")
    finish(scan, "a")
    finish(scan, "b", content_xxh3="b" * 32)
    assert scan.db.enrichment.want_content_hashes() == 1
    assert sorted(due_paths(scan)) == ["a", "c"]
    assert scan.db.enrichment.want_content_hashes() == 0


def test_a_playlist_makes_nothing_due(scan: Scan) -> None:
    scan.add("d/a")
    finish(scan, "d/a")
    scan.write(gone_sidecars=["d/list.m3u"])
    assert due_paths(scan) == []


def test_files_without_an_attempt_at_a_fingerprint_get_one_once_there_is_a_tool(scan: Scan) -> None:
    scan.add("a", "too short", "done")
    finish(scan, "a", fingerprint=None, fingerprint_seconds=None)
    finish(scan, "too short", fingerprint=None, fingerprint_seconds=1.5)
    finish(scan, "done")
    assert scan.db.enrichment.want_fingerprints(now=LATER) == 1
    assert [(job.path, job.step) for job in jobs(scan)] == [("a", SOUND)]


# -- who may --------------------------------------------------------------------------------------------------


def test_one_process_enriches_at_a_time(db: Database) -> None:
    one, two = owner("one"), owner("two")
    assert db.enrichment.holder() is None
    assert db.enrichment.take_lease(one, now=START, lease_seconds=60)
    assert not db.enrichment.take_lease(two, now=START + 59, lease_seconds=60)
    assert db.enrichment.holder() == str(one)
    assert db.enrichment.take_lease(one, now=START + 50, lease_seconds=60)
    assert not db.enrichment.take_lease(two, now=START + 109, lease_seconds=60)
    assert db.enrichment.take_lease(two, now=START + 110, lease_seconds=60)
    assert not db.enrichment.take_lease(one, now=START + 111, lease_seconds=60)
    db.enrichment.give_lease_back(one)
    assert db.enrichment.holder() == str(two)
    db.enrichment.give_lease_back(two)
    assert db.enrichment.holder() is None


def test_the_lease_of_a_dead_process_is_taken_at_once(db: Database) -> None:
    one, two = owner("one"), owner("two")
    db.enrichment.take_lease(one, now=START, lease_seconds=60)
    assert db.enrichment.take_lease(two, now=START, lease_seconds=60, dead_owner=str(one))


def test_a_running_scan_is_seen(scan: Scan) -> None:
    assert scan.db.enrichment.is_any_scan_running(scan.now)
    assert not scan.db.enrichment.is_any_scan_running(scan.now + 2e6)


# -- sounds ---------------------------------------------------------------------------------------------------


def test_files_are_found_by_the_length_of_their_audio(scan: Scan, other: Scan) -> None:
    files = scan.add("a", "b")
    other.add("c")
    for path in ("a", "b"):
        finish(scan, path)
    finish(other, "c", audio_hash="c" * 32)
    scan.write(gone=[gone(files["a"])])
    sounds = scan.db.enrichment.with_audio_bytes([5000, 1])
    assert {(sound.file.path, sound.file.library_id) for sound in sounds} == {
        ("a", "music"),
        ("b", "music"),
        ("c", "other"),
    }
    assert all(sound.is_verified for sound in sounds)
    assert {sound.known.audio_hash for sound in sounds} == {"a" * 32, "c" * 32}
    assert scan.db.enrichment.with_audio_bytes([4999]) == []
    assert scan.db.enrichment.with_audio_bytes([]) == []


def test_files_are_found_by_their_audio_hash_unless_too_many_have_it(scan: Scan, other: Scan) -> None:
    files = scan.add("a", "b", "c")
    other.add("d")
    for path, audio_hash in (("a", "a" * 32), ("b", "b" * 32), ("c", "b" * 32)):
        finish(scan, path, audio_hash=audio_hash)
    finish(other, "d", audio_hash="b" * 32)
    scan.write(gone=[gone(files["c"])])
    hashes = {"a" * 32, "b" * 32, "c" * 32}
    found = scan.db.enrichment.with_audio_hashes(hashes, at_most=3)
    assert {sound.file.path for sound in found} == {"a", "b", "c", "d"}
    found = scan.db.enrichment.with_audio_hashes(hashes, at_most=2)
    assert {sound.file.path for sound in found} == {"a"}
    assert scan.db.enrichment.audio_lengths({5000, 1}) == {5000: 4}


def test_the_sound_of_a_file_that_changed_is_not_verified(scan: Scan) -> None:
    scan.add("a")
    finish(scan, "a")
    scan.write(upserts=[upsert("a", number=2)])
    [sound] = scan.db.enrichment.with_audio_bytes([5000])
    assert not sound.is_verified


def test_missing_files_are_found_by_the_path_that_they_had(scan: Scan, other: Scan) -> None:
    files = scan.add("d/a", "d/b", "d/silent")
    other.add("d/a")
    for path in ("d/a", "d/b"):
        finish(scan, path)
    finish(scan, "d/silent", fingerprint=None)
    finish(other, "d/a")
    scan.write(gone=[gone(files[path]) for path in ("d/a", "d/silent")])
    assert scan.db.enrichment.folders_of_missing("music", ["d", "x", ""]) == {"d"}
    assert scan.db.enrichment.folders_of_missing("other", ["d"]) == set()
    [sound] = scan.db.enrichment.missing_at("music", ["d/a", "d/b", "d/silent", "x"])
    assert (sound.file.file_id, sound.title, sound.artist) == (files["d/a"].file_id, "Title", "Artist")
    ids = [file.file_id for file in files.values()]
    assert {sound.file.path for sound in scan.db.enrichment.sounds_of(ids)} == {"d/a", "d/b", "d/silent"}


def test_it_is_known_whether_any_sound_is_known(scan: Scan) -> None:
    scan.add("a")
    assert not scan.db.enrichment.knows_any_sound()
    finish(scan, "a")
    assert scan.db.enrichment.knows_any_sound()


def test_files_with_the_same_audio_form_groups(scan: Scan, other: Scan) -> None:
    files = scan.add("b", "a", "alone", "gone")
    other.add("elsewhere")
    for path in ("b", "a", "gone"):
        finish(scan, path)
    finish(scan, "alone", audio_hash="b" * 32)
    finish(other, "elsewhere")
    scan.write(gone=[gone(files["gone"])])
    groups = list(scan.db.enrichment.same_audio("music"))
    assert [[record.path for record in group] for group in groups] == [["a", "b"]]
    prints = scan.db.enrichment.fingerprints("music")
    assert prints == {files[path].file_id: ("AQAA", 12.5) for path in ("a", "b", "alone")}


# -- covers ---------------------------------------------------------------------------------------------------


def test_a_cover_is_loose_when_a_file_lost_it(scan: Scan) -> None:
    scan.add("a", "b")
    cover, better = "1" * 32, "2" * 32
    for path in ("a", "b"):
        finish(scan, path, cover_id=cover)
    assert scan.db.enrichment.loose_covers(limit=10) == []
    assert scan.db.enrichment.covers_in_use([cover, better]) == {cover}
    scan.write(upserts=[upsert("a", number=7)])
    finish(scan, "a", cover_id=better)
    assert scan.db.enrichment.loose_covers(limit=10) == [cover]
    assert scan.db.enrichment.covers_in_use([cover, better]) == {cover, better}
    forget_loose_covers(scan.db, [cover])
    assert scan.db.enrichment.loose_covers(limit=10) == []


def test_a_cover_that_loses_its_last_file_while_it_is_judged_is_loose_again(scan: Scan) -> None:
    scan.add("a", "b")
    cover = "1" * 32
    for path in ("a", "b"):
        finish(scan, path, cover_id=cover)
    for number, path in enumerate("ab"):
        scan.write(upserts=[upsert(path, number=7 + number)])
        finish(scan, path)
        assert scan.db.enrichment.loose_covers(limit=10) == [cover]
        assert scan.db.enrichment.unused_covers(limit=10) == [cover] * number
    forget_loose_covers(scan.db, [cover])
    assert scan.db.enrichment.unused_covers(limit=10) == []


def test_covers_of_a_removed_library_are_loose(scan: Scan) -> None:
    scan.add("a")
    finish(scan, "a", cover_id="1" * 32)
    scan.db.library.remove_library("music")
    assert scan.db.enrichment.loose_covers(limit=10) == ["1" * 32]
    assert scan.db.enrichment.covers_in_use(["1" * 32]) == set()


def test_storing_the_same_again_loosens_no_cover(scan: Scan) -> None:
    scan.add("a")
    finish(scan, "a", cover_id="1" * 32)
    record = scan.record("a")
    same = Enrichment(stat(1), "a" * 32, 5000, cover_id="1" * 32)
    update = EnrichmentUpdate(record.file_id, stat(1), ProcessingStatus.COMPLETE, None, same)
    assert store(scan.db, update)
    assert store(scan.db, replace(update, found=None))
    assert scan.db.enrichment.loose_covers(limit=10) == []


def test_an_update_of_nobody_is_not_stored(scan: Scan) -> None:
    update = EnrichmentUpdate(fresh_id(), stat(1), ProcessingStatus.COMPLETE, None)
    assert not store(scan.db, update)


def test_several_files_may_lose_one_cover_at_once(scan: Scan) -> None:
    scan.add("a", "b", "c")
    for path in ("a", "b", "c"):
        finish(scan, path, cover_id="1" * 32)
    scan.write(upserts=[upsert(path, number=7 + at) for at, path in enumerate("abc")])
    for path in ("a", "b", "c"):
        finish(scan, path)
    assert scan.db.enrichment.loose_covers(limit=10) == ["1" * 32]
    assert scan.db.enrichment.covers_in_use(["1" * 32]) == set()


def test_an_outcome_is_refused_if_the_folder_has_another_image_since(scan: Scan) -> None:
    scan.add("d/a")
    job = job_of(scan, "d/a")
    scan.write_images(image("d/cover.jpg"))
    assert not store(scan.db, replace(art_done(job), job_due_at=job.due_at))
    again = job_of(scan, "d/a")
    assert again.due_at != job.due_at
    assert store(scan.db, replace(art_done(again), job_due_at=again.due_at))


def test_an_outcome_is_refused_if_the_file_was_also_read_again_since(scan: Scan) -> None:
    scan.add("d/a")
    job = job_of(scan, "d/a")
    scan.write_images(image("d/cover.jpg"))
    scan.write(upserts=[upsert("d/a", number=1, tags=read("Other"))])
    assert not store(scan.db, replace(art_done(job), job_due_at=job.due_at))
    assert due_paths(scan) == ["d/a"]


def test_another_folder_image_makes_files_due_that_could_not_be_decoded(scan: Scan) -> None:
    scan.add("d/a")
    scan.write(upserts=[upsert("d/broken", number=5, tags=unreadable())])
    job = job_of(scan, "d/a")
    failed = EnrichmentUpdate(job.file_id, job.stat, ProcessingStatus.ERROR, None, error="can't be decoded", attempts=6)
    store(scan.db, failed)
    scan.write_images(image("d/cover.jpg"))
    assert [(job.path, job.attempts) for job in jobs(scan)] == [("d/a", 6)]
