"""A rename that somebody saw keeps the id of a file that was edited as well; what was not true does no harm."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import pytest
from support.disk import assert_equal
from support.music import build, tone, wait_for_another_timestamp
from support.scanned import Music, Scanned
from support.scans import events, ids, missing, scan
from support.system import Disk, Gate, until

from nomarr import Library, Nomarr, PathChange, ScanProgress, ScanReport, ScanTarget
from nomarr.helpers.dto.scan import ScanPhase

SEEN = "rename event"
SAME = "device+inode+size+mtime"


class Watched(Music):
    """A library whose renames and deletions somebody sees, until the next scan is told."""

    def __init__(self, music: Music) -> None:
        super().__init__(music.nomarr, music.library, music.before, music.seq)
        self.changes: list[PathChange] = []

    def rename(self, old: str, new: str) -> None:
        super().rename(old, new)
        self.changes.append(PathChange(old, new, is_folder=(self.root / new).is_dir()))

    def delete(self, path: str) -> None:
        os.unlink(self.root / path)
        self.changes.append(PathChange(path, None, is_folder=False))

    def write(self, path: str, content: bytes) -> None:
        """In place, if it is there: same inode, everything else differs."""
        (self.root / path).write_bytes(content)

    def save(self, path: str, content: bytes) -> None:
        """As careful programs do it: not even the inode is the same."""
        self.write(f"{path}.tmp", content)
        self.rename(f"{path}.tmp", path)

    async def scan(self, *folders: str, **options: Any) -> ScanReport:
        changes, self.changes = self.changes, []
        return await super().scan(*folders, path_changes=changes, **options)

    async def told(self) -> list[tuple[str, str, str | None]]:
        return [(event.type.value, event.path, event.evidence) for event in await events(self.nomarr, self.seq)]


Watch: TypeAlias = Callable[..., Awaitable[Watched]]


@pytest.fixture
def watched(scanned: Scanned) -> Watch:
    async def make(tree: dict[str, object]) -> Watched:
        return Watched(await scanned(tree))

    return make


async def test_a_file_renamed_and_retagged_keeps_its_id_and_the_feed_says_why(watched: Watch) -> None:
    music = await watched({"Rock": {"a.wav": tone(440)}})
    music.rename("Rock/a.wav", "Rock/b.wav")
    music.write("Rock/b.wav", tone(500))
    report = await music.scan()
    assert (report.files_moved, report.files_updated, report.files_added, report.files_missing) == (1, 1, 0, 0)
    assert await music.ids() == {"Rock/b.wav": music.before["Rock/a.wav"]}
    assert await music.told() == [("renamed", "Rock/b.wav", SEEN), ("modified", "Rock/b.wav", None)]
    assert not (await music.scan()).changes_detected


async def test_a_file_moved_and_saved_anew_keeps_its_id(watched: Watch) -> None:
    music = await watched({"Rock": {"a.wav": tone(440)}, "keep.wav": tone(300)})
    music.rename("Rock/a.wav", "Pop/b.wav")
    music.save("Pop/b.wav", tone(500))
    await music.scan("Rock", "Pop")
    assert (await music.ids())["Pop/b.wav"] == music.before["Rock/a.wav"]
    assert await music.told() == [("moved", "Pop/b.wav", SEEN), ("modified", "Pop/b.wav", None)]


async def test_a_file_saved_anew_and_then_renamed_keeps_its_id(watched: Watch) -> None:
    music = await watched({"Rock": {"a.wav": tone(440)}})
    music.save("Rock/a.wav", tone(500))
    music.rename("Rock/a.wav", "Rock/b.wav")
    await music.scan()
    assert await music.ids() == {"Rock/b.wav": music.before["Rock/a.wav"]}


async def test_a_file_that_was_only_renamed_is_not_read_for_it(watched: Watch) -> None:
    music = await watched({"Rock": {"a.wav": tone(440), "b.wav": tone(441)}})
    music.rename("Rock", "Pop")
    report = await music.scan()
    assert (report.files_moved, report.files_processed) == (2, 0)
    assert {evidence for _, _, evidence in await music.told()} == {SEEN}


async def test_a_renamed_folder_takes_files_along_that_were_edited_in_it(watched: Watch) -> None:
    music = await watched({"Rock": {"a.wav": tone(440), "b.wav": tone(441), "Live": {"c.wav": tone(442)}}})
    music.rename("Rock", "Pop")
    music.write("Pop/a.wav", tone(500))
    music.save("Pop/Live/c.wav", tone(501))
    music.rename("Pop/b.wav", "Pop/Live/d.wav")
    music.save("Pop/Live/d.wav", tone(502))
    report = await music.scan()
    assert (report.files_moved, report.files_added, report.files_missing) == (3, 0, 0)
    assert await music.ids() == {
        "Pop/a.wav": music.before["Rock/a.wav"],
        "Pop/Live/c.wav": music.before["Rock/Live/c.wav"],
        "Pop/Live/d.wav": music.before["Rock/b.wav"],
    }


@pytest.mark.parametrize("edit", [Watched.write, Watched.save])
async def test_files_that_changed_names_and_contents_change_names(
    watched: Watch, edit: Callable[[Watched, str, bytes], None]
) -> None:
    music = await watched({"a.wav": tone(440), "b.wav": tone(441)})
    music.swap("a.wav", "b.wav")
    edit(music, "a.wav", tone(500))
    edit(music, "b.wav", tone(501))
    report = await music.scan()
    assert (report.files_moved, report.files_added, report.files_missing) == (2, 0, 0)
    assert await music.ids() == {"a.wav": music.before["b.wav"], "b.wav": music.before["a.wav"]}


async def test_a_chain_of_renamed_and_edited_files_is_followed(watched: Watch) -> None:
    music = await watched({f"{n}.wav": tone(440 + n) for n in range(4)})
    for number in reversed(range(4)):
        music.rename(f"{number}.wav", f"{number + 1}.wav")
        music.save(f"{number + 1}.wav", tone(500 + number))
    report = await music.scan()
    assert (report.files_moved, report.files_added, report.files_missing) == (4, 0, 0)
    assert await music.ids() == {f"{n + 1}.wav": music.before[f"{n}.wav"] for n in range(4)}


async def test_a_file_renamed_over_a_known_one_and_edited_takes_its_place(watched: Watch) -> None:
    music = await watched({"a.wav": tone(440), "b.wav": tone(441)})
    music.rename("a.wav", "b.wav")
    music.write("b.wav", tone(500))
    report = await music.scan()
    assert (report.files_moved, report.files_missing) == (1, 1)
    assert await music.ids() == {"b.wav": music.before["a.wav"]}
    (lost,) = (await missing(music.nomarr, music.library)).values()
    assert lost.file_id == music.before["b.wav"]


async def test_of_two_files_renamed_to_one_path_the_last_one_is_there(watched: Watch) -> None:
    music = await watched({"a.wav": tone(440), "c.wav": tone(441)})
    music.rename("a.wav", "b.wav")
    music.rename("c.wav", "b.wav")
    music.write("b.wav", tone(500))
    report = await music.scan()
    assert (report.files_moved, report.files_missing, report.files_added) == (1, 1, 0)
    assert await music.ids() == {"b.wav": music.before["c.wav"]}


async def test_a_file_renamed_deleted_and_made_anew_is_a_new_file(watched: Watch) -> None:
    music = await watched({"a.wav": tone(440), "keep.wav": tone(441)})
    music.rename("a.wav", "b.wav")
    music.delete("b.wav")
    music.write("b.wav", tone(500))
    report = await music.scan()
    assert (report.files_moved, report.files_added, report.files_missing) == (0, 1, 1)
    assert (await music.ids())["b.wav"] not in music.before.values()


async def test_a_new_file_at_the_path_that_another_one_left_is_new(watched: Watch) -> None:
    music = await watched({"a.wav": tone(440)})
    music.rename("a.wav", "b.wav")
    music.write("b.wav", tone(500))
    music.write("a.wav", tone(501))
    await music.scan()
    after = await music.ids()
    assert after["b.wav"] == music.before["a.wav"]
    assert after["a.wav"] != after["b.wav"]


async def test_a_file_that_moved_on_after_it_was_seen_is_told_by_its_numbers(watched: Watch) -> None:
    music = await watched({"a.wav": tone(440)})
    music.rename("a.wav", "b.wav")
    os.rename(music.root / "b.wav", music.root / "c.wav")
    music.write("b.wav", tone(500))
    await music.scan()
    after = await music.ids()
    assert (after["c.wav"], after["b.wav"] in music.before.values()) == (music.before["a.wav"], False)
    assert ("renamed", "c.wav", SAME) in await music.told()


async def test_renames_that_an_earlier_scan_saw_already_are_not_followed_twice(watched: Watch) -> None:
    music = await watched({"0.wav": tone(440), "1.wav": tone(441)})

    def rotate() -> None:
        music.rename("1.wav", "2.wav")
        music.rename("0.wav", "1.wav")
        music.write("0.wav", tone(500))

    rotate()
    await scan(music.nomarr, music.library)
    before = await music.ids()
    wait_for_another_timestamp(music.root.parent)
    music.rename("2.wav", "3.wav")
    rotate()
    await music.scan()
    after = await music.ids()
    assert [after[f"{n}.wav"] for n in (1, 2, 3)] == [before[f"{n}.wav"] for n in (0, 1, 2)]


# -- what is not looked at ------------------------------------------------------------------------------------


async def test_a_file_moved_into_the_scope_alone_changes_nothing_outside_of_it(watched: Watch) -> None:
    music = await watched({"Rock": {"a.wav": tone(440)}, "Pop": {"keep.wav": tone(441)}})
    music.rename("Rock/a.wav", "Pop/a.wav")
    music.save("Pop/a.wav", tone(500))
    report = await music.scan("Pop")
    assert (report.files_moved, report.files_added, report.files_missing) == (0, 1, 0)
    rows = await ids(music.nomarr, music.library)
    assert rows["Rock/a.wav"] == music.before["Rock/a.wav"]
    assert rows["Pop/a.wav"] not in music.before.values()
    await music.scan()
    assert set(await music.ids()) == {"Pop/a.wav", "Pop/keep.wav"}


async def test_a_file_moved_out_of_the_scope_is_missing_until_its_folder_is_scanned(watched: Watch) -> None:
    music = await watched({"Rock": {"a.wav": tone(440)}, "Pop": {"keep.wav": tone(441)}})
    music.rename("Rock/a.wav", "Pop/a.wav")
    report = await music.scan("Rock")
    assert (report.files_moved, report.files_missing) == (0, 1)
    await music.scan("Pop")
    assert (await music.ids())["Pop/a.wav"] == music.before["Rock/a.wav"]


async def test_a_file_from_outside_the_scope_does_not_get_the_id_of_the_one_it_overwrote(watched: Watch) -> None:
    music = await watched({"Rock": {"a.wav": tone(440)}, "Pop": {"b.wav": tone(441)}})
    music.rename("Rock/a.wav", "Pop/b.wav")
    music.rename("Pop/b.wav", "Pop/c.wav")
    music.save("Pop/c.wav", tone(500))
    await music.scan("Pop")
    rows = await ids(music.nomarr, music.library)
    assert rows["Pop/c.wav"] not in music.before.values()
    assert rows["Rock/a.wav"] == music.before["Rock/a.wav"]


async def test_a_file_that_is_missing_for_long_is_not_what_was_renamed(watched: Watch) -> None:
    music = await watched({"a.wav": tone(440), "keep.wav": tone(441)})
    os.unlink(music.root / "a.wav")
    await music.scan()
    music.write("a.wav", tone(500))
    music.rename("a.wav", "b.wav")
    music.write("a.wav", tone(501))
    await music.scan()
    after = await music.ids()
    assert after["a.wav"] == music.before["a.wav"]
    assert after["b.wav"] not in music.before.values()


# -- what is not true -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        PathChange("a.wav", "new.wav", is_folder=False),
        PathChange("a.wav", "nowhere.wav", is_folder=False),
        PathChange("a.wav", None, is_folder=False),
        PathChange("nowhere.wav", "a.wav", is_folder=False),
        PathChange("nowhere.wav", "new.wav", is_folder=False),
        PathChange("Nowhere", "Rock", is_folder=True),
        PathChange("Rock", "Nowhere", is_folder=True),
        PathChange("", "Rock", is_folder=True),
        PathChange("Rock", "", is_folder=True),
        PathChange("Rock", "Rock/Live", is_folder=True),
    ],
)
@pytest.mark.parametrize("edit", [None, Watched.write, Watched.save])
async def test_what_did_not_happen_takes_no_id_from_a_file_that_is_there(
    watched: Watch, change: PathChange, edit: Callable[[Watched, str, bytes], None] | None
) -> None:
    music = await watched({"a.wav": tone(440), "Rock": {"b.wav": tone(441)}})
    music.write("new.wav", tone(500))
    music.write("a.wav", tone(502))
    if edit is not None:
        edit(music, "Rock/b.wav", tone(501))
    music.changes = [change]
    await music.scan()
    after = await music.ids()
    assert after == {**music.before, "new.wav": after["new.wav"]}
    assert after["new.wav"] not in music.before.values()


async def test_a_rename_to_a_path_where_nothing_is_leaves_the_file_missing(watched: Watch) -> None:
    music = await watched({"a.wav": tone(440), "keep.wav": tone(441)})
    os.unlink(music.root / "a.wav")
    music.changes.append(PathChange("a.wav", "b.wav", is_folder=False))
    await music.scan()
    assert set(await music.ids()) == {"keep.wav"}
    assert set(await missing(music.nomarr, music.library)) == {"a.wav"}


# -- looks, requests, libraries -------------------------------------------------------------------------------


async def test_the_final_look_of_a_scan_does_not_follow_the_same_renames_again(
    database_url: str, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"a.wav": tone(440), "b.wav": tone(441)})
    async with Nomarr.open(database_url, settle_seconds=0.3) as nomarr:
        library = await nomarr.libraries.add_library("Music", root)
        await scan(nomarr, library)
        music = Watched(Music(nomarr, library, await ids(nomarr, library), 0))
        wait_for_another_timestamp(root.parent)
        music.rename("b.wav", "c.wav")
        music.rename("a.wav", "b.wav")
        music.save("b.wav", tone(500))
        looks = []

        def save_again(progress: ScanProgress) -> None:
            if progress.phase is ScanPhase.SETTLING and not looks:
                looks.append("first")
                build(root, {"b.tmp": tone(501), "c.tmp": tone(502), "a.wav": tone(503)})
                os.replace(root / "b.tmp", root / "b.wav")
                os.replace(root / "c.tmp", root / "c.wav")

        await music.scan(on_progress=save_again)
        assert looks
        await music.scan()
        after = await music.ids()
        assert (after["b.wav"], after["c.wav"]) == (music.before["a.wav"], music.before["b.wav"])


async def test_a_rename_in_a_folder_that_changes_while_it_is_listed_is_followed(watched: Watch, disk: Disk) -> None:
    music = await watched({"Rock": {"a.wav": tone(440), "keep.wav": tone(441)}})
    music.rename("Rock/a.wav", "Rock/b.wav")
    music.save("Rock/b.wav", tone(500))

    def change_folder() -> None:
        disk.recover()
        build(music.root / "Rock", {"notes.txt": "something else"})

    wait_for_another_timestamp(music.root.parent)
    disk.before_stat(music.root / "Rock/keep.wav", change_folder)
    await music.scan()
    assert await music.ids() == {path.replace("a.wav", "b.wav"): file_id for path, file_id in music.before.items()}


async def test_requests_that_are_scanned_together_bring_their_renames_in_order(watched: Watch, disk: Disk) -> None:
    music = await watched({"Rock": {"a.wav": tone(440)}, "Pop": {"b.wav": tone(441)}, "Jazz": {"c.wav": tone(442)}})
    nomarr, library = music.nomarr, music.library
    gate = Gate()
    disk.before_listing(music.root / "Jazz", gate.pass_through)

    def queued() -> int:
        return len(nomarr.database.library.get_scan_state(library.library_id).queued_targets)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(music.scan, "Jazz")
        await gate.wait_for(1)
        music.rename("Rock/a.wav", "Rock/t.wav")
        tasks.start_soon(music.scan, "Rock")
        await until(lambda: queued() == 1)
        music.rename("Rock/t.wav", "Pop/d.wav")
        music.save("Pop/d.wav", tone(500))
        tasks.start_soon(music.scan, "Rock", "Pop")
        await until(lambda: queued() == 2)
        gate.open()
    assert (await music.ids())["Pop/d.wav"] == music.before["Rock/a.wav"]
    assert len(await nomarr.libraries.list_scans(library.library_id)) == 3


async def test_a_dry_run_counts_what_was_seen(watched: Watch) -> None:
    music = await watched({"a.wav": tone(440)})
    music.rename("a.wav", "b.wav")
    music.write("b.wav", tone(500))
    report = await music.scan(dry_run=True)
    assert (report.files_moved, report.files_added, report.files_missing) == (1, 0, 0)


async def test_renames_are_those_of_one_library(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    libraries: list[Library] = [
        await nomarr.libraries.add_library(name, music_tree({"a.wav": tone(440)}, name)) for name in ("here", "there")
    ]
    targets = [ScanTarget(library.library_id) for library in libraries]
    with pytest.raises(ValueError, match="one library"):
        await nomarr.libraries.scan_targets(targets, path_changes=[PathChange("a.wav", "b.wav", is_folder=False)])


# -- whatever happens -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
async def test_every_known_file_that_is_still_there_has_its_id(watched: Watch, seed: int) -> None:
    chance = random.Random(seed)
    folders = ["", "Rock/", "Pop/", "Rock/Live/"]
    paths = [f"{folder}{name}.wav" for folder in folders for name in "abc"]
    tree = {name: tone(440 + number) for number, name in enumerate(("a.wav", "b.wav"))}
    music = await watched({**tree, "Rock": {"a.wav": tone(450), "Live": {"b.wav": tone(451)}}, "Pop": {}})
    for number, path in enumerate(music.before):
        # A new file at an old path must not have got the old one's inode: nothing tells it from an edited file then.
        os.link(music.root / path, music.root.parent / f"kept-{number}")
    origins: dict[str, str | None] = {path: path for path in music.before}
    for number in range(20):
        path = chance.choice(sorted(origins) or paths)
        new = chance.choice(paths)
        content = tone(500 + 30 * seed + number)
        match chance.choice(["rename", "rename", "rename", "folder", "delete", "create", "write", "save"]):
            case "rename" if path in origins and new != path and (music.root / new).parent.is_dir():
                if origins[path] is None and os.path.dirname(path) == os.path.dirname(new):
                    continue  # a new file renamed to the name of a known one cannot be told from saving that one
                music.rename(path, new)
                origins[new] = origins.pop(path)
            case "folder":
                old, to = chance.choice(["Rock", "Pop", "Rock/Live", "New"]), chance.choice(["New", "Pop/New", "Pop"])
                if not (music.root / old).is_dir() or (music.root / to).exists() or to.startswith(old):
                    continue
                music.rename(old, to)
                origins = {to + p[len(old) :] if p.startswith(f"{old}/") else p: o for p, o in origins.items()}
            case "delete" if path in origins:
                music.delete(path)
                del origins[path]
            case "create" if new not in origins and (music.root / new).parent.is_dir():
                music.write(new, content)
                origins[new] = None
            case "write" if path in origins:
                music.write(path, content)
            case "save" if path in origins:
                music.save(path, content)
    await music.scan(accept_losses=True)
    await assert_equal(music.nomarr, music.library)
    after = await music.ids()
    expected = {path: music.before[origin] for path, origin in origins.items() if origin is not None}
    assert {path: after[path] for path in expected} == expected
