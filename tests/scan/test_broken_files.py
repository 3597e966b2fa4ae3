"""Whatever lies in a library, a scan gets through it, and says of every file that can't be read why."""

from __future__ import annotations

import os
import random
import socket
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from media.audio_factory import AudioFactory, Song
from support.disk import assert_equal
from support.music import tone, tones
from support.scans import present, scan

from nomarr import Nomarr, PathState

KINDS = ("mp3", "flac", "m4a", "ogg", "opus", "wav")
HOPELESS = ("empty", "zeros", "text", "stub", "huge-header")
"""What nobody can read a tag of, whatever the format."""


def mutations(kind: str, sound: bytes) -> dict[str, bytes]:
    """Broken variants of a good file, by name."""
    chance = random.Random(kind)
    found = {
        "empty": b"",
        "zeros": bytes(5000),
        "text": b"This is no music at all.\n" * 50,
        "stub": sound[:3],
        "huge-header": _huge_header(kind, sound),
    }
    for percent in (1, 5, 20, 50, 80, 99):
        found[f"cut-{percent}"] = sound[: len(sound) * percent // 100]
    for number in range(15):
        flipped = bytearray(sound)
        for _ in range(chance.choice((1, 10, 100))):
            place = chance.randrange(min(len(flipped), chance.choice((64, 512, len(flipped)))))
            flipped[place] ^= 1 << chance.randrange(8)
        found[f"flipped-{number}"] = bytes(flipped)
    for number in range(4):
        start = chance.randrange(len(sound))
        found[f"hole-{number}"] = sound[:start] + bytes(2000) + sound[start + 2000 :]
    found["shuffled"] = b"".join(
        chance.sample([sound[i : i + 512] for i in range(0, len(sound), 512)], len(sound) // 512)
    )
    return found


def _huge_header(kind: str, sound: bytes) -> bytes:
    """The first length that the format holds, as large as it can be said, and nothing behind it."""
    if kind == "mp3":
        return b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f"
    if kind == "flac":
        return b"fLaC\x84\xff\xff\xff"
    if kind == "m4a":
        return b"\xff\xff\xff\xffftypM4A "
    if kind in ("ogg", "opus"):
        return b"OggS\x00\x02" + bytes(20) + b"\xff" + b"\xff" * 255
    return b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff"


@pytest.mark.slow
async def test_two_hundred_broken_files_are_recorded_each_with_its_error(
    database_url: str, music_tree: Callable[..., Path], encoded: AudioFactory
) -> None:
    root = music_tree({"Good": {}})
    encoded.write(root / "Good" / "good.mp3", "mp3", Song(title="Good"))
    for kind in KINDS:
        tagged = encoded.write(root / "Good" / f"tagged.{kind}", kind, Song())
        for name, content in mutations(kind, tagged.read_bytes()).items():
            (root / f"{name}.{kind}").write_bytes(content)
        for other in KINDS:
            if other != kind:
                (root / f"really-{kind}.{other}").write_bytes(tagged.read_bytes())
    assert len(list(root.iterdir())) > 200
    async with Nomarr.open(database_url, settle_seconds=0, tag_workers=2) as nomarr:
        library = await nomarr.libraries.add_library("Music", root)
        with anyio.fail_after(45):
            report = await scan(nomarr, library)
        await assert_equal(nomarr, library)
        rows = await present(nomarr, library)
        assert report.state == "completed"
        assert report.files_failed == sum(row.last_error is not None for row in rows.values())
        assert rows["Good/good.mp3"].tags.title == "Good"
        for kind in KINDS:
            assert rows[f"Good/tagged.{kind}"].last_error is None
            for name in HOPELESS:
                assert rows[f"{name}.{kind}"].last_error, f"{name}.{kind}"
        for path, row in rows.items():
            assert row.last_error or row.tags.format, f"{path} has neither an error nor a format"
            assert row.processing_status == ("error" if row.last_error else "metadata_done"), path
            explanation = await nomarr.libraries.explain(root / path)
            assert (explanation.state, explanation.error) == (PathState.IN_LIBRARY, row.last_error)
            assert row.last_error is None or row.last_error in explanation.reason
        assert not (await scan(nomarr, library)).changes_detected


async def test_a_broken_file_that_is_repaired_is_read(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({"a.wav": b"broken", "b.wav": tone(440)})
    library = await nomarr.libraries.add_library("Music", root)
    report = await scan(nomarr, library)
    before = await present(nomarr, library)
    assert (report.files_failed, before["a.wav"].processing_status) == (1, "error")
    (root / "a.wav").write_bytes(tone(441))
    await scan(nomarr, library)
    after = await present(nomarr, library)
    assert (after["a.wav"].last_error, after["a.wav"].processing_status) == (None, "metadata_done")
    assert after["a.wav"].file_id == before["a.wav"].file_id
    assert after["a.wav"].tags.duration_seconds is not None


async def test_a_file_that_breaks_keeps_what_it_last_said(
    nomarr: Nomarr, music_tree: Callable[..., Path], encoded: AudioFactory
) -> None:
    root = music_tree({})
    encoded.write(root / "a.mp3", "mp3", Song(title="What it said"))
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    (root / "a.mp3").write_bytes(b"broken")
    await scan(nomarr, library)
    row = (await present(nomarr, library))["a.mp3"]
    assert row.last_error
    assert row.tags.title == "What it said"


async def test_pipes_sockets_and_devices_are_named_and_never_opened(
    nomarr: Nomarr, music_tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = music_tree({"good.wav": tone(440)})
    os.mkfifo(root / "pipe.mp3")
    os.mkfifo(root / "list.m3u")
    # The path of a socket must not be long.
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.flac")
        expected = {"pipe.mp3": "a named pipe", "socket.flac": "a socket"}
        if os.geteuid() == 0:
            os.mknod("device.ogg", 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero never ends
            expected["device.ogg"] = "a device"
        library = await nomarr.libraries.add_library("Music", root)
        with anyio.fail_after(20):
            report = await scan(nomarr, library)
    rows = await present(nomarr, library)
    assert set(rows) == {"good.wav", *expected}
    assert report.files_failed == len(expected)
    for path, kind in expected.items():
        assert kind in (rows[path].last_error or "")
        assert kind in (await nomarr.libraries.explain(root / path)).reason
    (playlist,) = await nomarr.libraries.list_playlists(library.library_id)
    assert "a named pipe" in (playlist.error or "")


@pytest.mark.parametrize("name", ["huge.mp3", "huge.flac", "huge.m4a", "huge.ogg", "huge.wav", "huge.mka", "huge.ape"])
async def test_a_sparse_file_of_four_gigabytes_costs_next_to_nothing(
    nomarr: Nomarr, music_tree: Callable[..., Path], name: str
) -> None:
    root = music_tree({})
    (root / name).touch()
    os.truncate(root / name, 4 << 30)
    library = await nomarr.libraries.add_library("Music", root)
    with anyio.fail_after(10):
        await scan(nomarr, library)
    row = (await present(nomarr, library))[name]
    assert (row.size, bool(row.last_error)) == (4 << 30, True)


async def test_a_file_nobody_may_read_has_an_error_and_is_read_when_it_may_be() -> None:
    from support.music import build
    from support.system import give_away, open_to_everybody, without_privileges

    with open_to_everybody() as folder:
        root = build(folder / "music", {"a.wav": tone(440), "b.wav": tone(441)})
        give_away(folder)
        async with Nomarr.open(f"sqlite:///{folder}/db/nomarr.db", settle_seconds=0) as nomarr:
            library = await nomarr.libraries.add_library("Music", root)
            (root / "a.wav").chmod(0o000)
            give_away(folder)
            with without_privileges():
                report = await scan(nomarr, library)
            row = (await present(nomarr, library))["a.wav"]
            assert report.files_failed == 1
            assert "permission" in (row.last_error or "").lower()
            (root / "a.wav").chmod(0o644)
            await scan(nomarr, library)
            assert (await present(nomarr, library))["a.wav"].last_error is None


POISON = """
    # Stands in for a decoder that crashes or never ends: files of these names do that to whoever opens them.
    import builtins, io, os, time

    def poisoned(call):
        def opened(path, *args, **options):
            name = os.path.basename(os.fsdecode(path)) if isinstance(path, (str, bytes, os.PathLike)) else ""
            if name.startswith("zz-crash"):
                os._exit(11)
            if name.startswith("zz-hang"):
                time.sleep(600)
            return call(path, *args, **options)
        return opened

    os.open, builtins.open, io.open = poisoned(os.open), poisoned(open), poisoned(open)
"""


@pytest.mark.slow
@pytest.mark.parametrize("poison", ["zz-crash", "zz-hang"])
async def test_a_file_that_crashes_or_stops_the_reader_has_an_error_and_the_others_are_read(
    database_url: str, music_tree: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, poison: str
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(textwrap.dedent(POISON))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)]))
    root = music_tree({**tones(600), f"{poison}.wav": tone(700), "zzz-last.wav": tone(701)})
    async with Nomarr.open(database_url, settle_seconds=0, tag_workers=2, file_timeout_seconds=1) as nomarr:
        library = await nomarr.libraries.add_library("Music", root)
        with anyio.fail_after(50):
            report = await scan(nomarr, library)
        rows = await present(nomarr, library)
        assert len(rows) == 602
        assert {path for path, row in rows.items() if row.last_error} == {f"{poison}.wav"}
        assert report.files_failed == 1
        assert rows[f"{poison}.wav"].last_error == (await nomarr.libraries.explain(root / f"{poison}.wav")).error
