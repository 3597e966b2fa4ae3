"""The folder of covers: any image in, small ones out, and nothing half-done whatever happens."""

from __future__ import annotations

import io
import random
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.system import give_away, mounted, open_to_everybody, without_privileges

from nomarr.components.media.cover_store_comp import THUMBNAIL_SIZES, CoverStore, UnreadableCover
from nomarr.helpers.exceptions import CoverFolderUnusable, StorageFull

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 40), (20, 40, 190)
AN_ID = "0123456789abcdef" * 2


@pytest.fixture
def store(tmp_path: Path) -> CoverStore:
    return CoverStore(tmp_path / "covers")


def halves(width: int = 1000, height: int = 800) -> Image.Image:
    """Red above, blue below."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (0, height // 2, width, height))
    return image


def encoded_as(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def a_png(number: int) -> bytes:
    """As many different images as there are numbers."""
    return encoded_as(Image.new("RGB", (700, 700), (number % 256, number // 256, 9)), "PNG")


def opened(path: Path | None) -> Image.Image:
    assert path is not None
    with Image.open(path, formats=["WEBP"]) as image:
        return image.copy()


def is_like(found: object, wanted: tuple[int, int, int]) -> bool:
    assert isinstance(found, tuple)
    return all(abs(one - other) < 25 for one, other in zip(found, wanted, strict=False))


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


KINDS = {
    "image/jpeg": lambda: encoded_as(halves(), "JPEG", quality=90),
    "progressive": lambda: encoded_as(halves(), "JPEG", progressive=True),
    "grey": lambda: encoded_as(halves().convert("L"), "JPEG"),
    "CMYK": lambda: encoded_as(halves().convert("CMYK"), "JPEG"),
    "image/png": lambda: encoded_as(halves(), "PNG"),
    "palette": lambda: encoded_as(halves().convert("P"), "PNG"),
    "one bit": lambda: encoded_as(halves().convert("1"), "PNG"),
    "16 bit": lambda: encoded_as(Image.new("I;16", (1000, 800), 0xC000), "PNG"),
    "with alpha": lambda: encoded_as(halves().convert("RGBA"), "PNG"),
    "grey with alpha": lambda: encoded_as(halves().convert("LA"), "PNG"),
    "image/webp": lambda: encoded_as(halves(), "WEBP"),
    "image/gif": lambda: encoded_as(halves(), "GIF"),
    "image/bmp": lambda: encoded_as(halves(), "BMP"),
    "image/tiff": lambda: encoded_as(halves(), "TIFF"),
    "TIFF with LZW": lambda: encoded_as(halves(), "TIFF", compression="tiff_lzw"),
    "two pictures in a JPEG": lambda: encoded_as(halves(), "MPO", save_all=True, append_images=[halves()]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_is_kept_with_its_thumbnails(store: CoverStore, kind: str) -> None:
    content = KINDS[kind]()
    cover = store.put(content)
    assert cover.cover_id == xxhash.xxh3_128_hexdigest(content)
    assert (cover.width, cover.height, cover.bytes) == (1000, 800, len(content))
    assert cover.mime_type == kind or not kind.startswith("image/")
    original = store.original(cover.cover_id)
    assert original is not None
    assert original.read_bytes() == content
    assert {size: opened(store.thumbnail(cover.cover_id, size)).size for size in THUMBNAIL_SIZES} == {
        96: (96, 77),
        600: (600, 480),
    }


@pytest.mark.parametrize(
    "kind", ["image/jpeg", "progressive", "palette", "CMYK", "with alpha", "image/gif", "TIFF with LZW"]
)
def test_a_thumbnail_looks_like_its_original(store: CoverStore, kind: str) -> None:
    cover = store.put(KINDS[kind]())
    for size in THUMBNAIL_SIZES:
        small = opened(store.thumbnail(cover.cover_id, size)).convert("RGB")
        assert is_like(small.getpixel((size // 2, size // 10)), RED)
        assert is_like(small.getpixel((size // 2, size * 7 // 10)), BLUE)


def test_16_bits_keep_their_brightness(store: CoverStore) -> None:
    small = opened(store.thumbnail(store.put(KINDS["16 bit"]()).cover_id, 96)).convert("RGB")
    assert is_like(small.getpixel((40, 40)), (0xC0, 0xC0, 0xC0))


@pytest.mark.parametrize("size", [(3000, 2000), (5000, 200), (1, 1), (96, 96), (37, 4001), (2401, 2399)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_thumbnails_keep_proportions_and_never_grow(store: CoverStore, size: tuple[int, int], kind: str) -> None:
    cover = store.put(encoded_as(halves(*size), kind))
    for limit in THUMBNAIL_SIZES:
        small = opened(store.thumbnail(cover.cover_id, limit))
        assert max(small.size) == min(limit, max(size))
        for side, whole in zip(small.size, size, strict=True):
            assert abs(side - max(1, whole * max(small.size) / max(size))) <= 1


def test_what_is_large_is_made_small_without_seams(store: CoverStore) -> None:
    cover = store.put(encoded_as(Image.new("RGB", (4000, 4000), GREEN), "PNG"))
    for low, high in opened(store.thumbnail(cover.cover_id, 600)).convert("RGB").getextrema():
        assert high - low < 10  # the encoder's own noise is 6; a seam would be black


def test_transparency_stays(store: CoverStore) -> None:
    image = Image.new("RGBA", (3000, 3000), (*RED, 0))
    image.paste((*GREEN, 255), (0, 0, 1500, 3000))
    small = opened(store.thumbnail(store.put(encoded_as(image, "PNG")).cover_id, 96))
    assert small.mode == "RGBA"
    assert is_like(small.getpixel((20, 40)), GREEN)
    assert [small.getpixel((x, 40))[3] for x in (20, 80)] == [255, 0]  # type: ignore[index]


def test_a_transparent_colour_of_a_palette_stays(store: CoverStore) -> None:
    content = encoded_as(halves().convert("P"), "PNG", transparency=b"\0" * 256)
    assert opened(store.thumbnail(store.put(content).cover_id, 96)).convert("RGBA").getextrema()[3] == (0, 0)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_counts(store: CoverStore, kind: str) -> None:
    first, second = Image.new("RGB", (300, 200), GREEN), Image.new("RGB", (300, 200), BLUE)
    cover = store.put(encoded_as(first, kind, save_all=True, append_images=[second]))
    small = opened(store.thumbnail(cover.cover_id, 96)).convert("RGB")
    assert is_like(small.getpixel((40, 30)), GREEN)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_was_taken_on_its_side_is_put_upright(store: CoverStore, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    cover = store.put(encoded_as(halves(), kind, exif=exif))
    on_its_side = orientation >= 5
    assert (cover.width, cover.height) == ((800, 1000) if on_its_side else (1000, 800))
    small = opened(store.thumbnail(cover.cover_id, 96)).convert("RGB")
    assert small.size == ((77, 96) if on_its_side else (96, 77))
    red_at = {1: (48, 5), 2: (48, 5), 3: (48, 70), 4: (48, 70), 5: (5, 48), 6: (70, 48), 7: (70, 48), 8: (5, 48)}
    assert is_like(small.getpixel(red_at[orientation]), RED)


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0rubbish that is none"])
def test_exif_without_sense_turns_nothing(store: CoverStore, exif: bytes) -> None:
    cover = store.put(encoded_as(halves(), "JPEG", exif=exif))
    assert (cover.width, cover.height) == (1000, 800)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg/>", "is an SVG drawing"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing"),
        (b"<html>404</html>", "is not an image of a known format"),
        (b"\xff\xd8\xff", "is not an image of a known format"),
        (bytes(5000), "is not an image of a known format"),
        (encoded_as(halves(), "JPEG")[:3000], "is a damaged image"),
        (encoded_as(halves(), "JPEG", progressive=True)[:-2000], "is a damaged image"),
        (encoded_as(halves(), "PNG")[:-600], "is a damaged image"),
        (encoded_as(halves(), "WEBP")[:-200], "is"),
        (encoded_as(halves(), "GIF")[:-700], "is a damaged image"),
        (encoded_as(halves(), "BMP")[:-1], "is a damaged image"),
        (encoded_as(halves(), "PDF"), "is not an image of a known format"),
        (encoded_as(halves(256, 256), "ICO"), "is not an image of a known format"),
    ],
)
def test_what_is_no_image_is_refused_and_leaves_nothing(store: CoverStore, content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableCover) as refused:
        store.put(content)
    assert str(refused.value).startswith(reason)
    assert "\n" not in str(refused.value)
    assert list(store.ids()) == []


def _png_that_claims(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _jpeg_that_claims(width: int, height: int, *, progressive: bool = False) -> bytes:
    content = bytearray(encoded_as(halves(64, 64), "JPEG", progressive=progressive))
    start = content.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    struct.pack_into(">HH", content, start + 5, height, width)
    return bytes(content)


def _bmp_that_claims(width: int, height: int) -> bytes:
    content = bytearray(encoded_as(halves(64, 64), "BMP"))
    struct.pack_into("<ii", content, 18, width, height)
    return bytes(content)


def _webp_that_claims(width: int, height: int) -> bytes:
    frames = {"save_all": True, "append_images": [Image.new("RGB", (64, 64), GREEN)]}
    content = bytearray(encoded_as(halves(64, 64), "WEBP", **frames))
    start = content.index(b"VP8X") + 12
    content[start : start + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        _png_that_claims(6000, 6000),
        _png_that_claims(50_000, 50_000),
        _png_that_claims((1 << 31) - 1, (1 << 31) - 1),
        _jpeg_that_claims(10_001, 10_000),
        _jpeg_that_claims(65_000, 65_000),
        _jpeg_that_claims(5000, 5000, progressive=True),
        _bmp_that_claims(6000, 6000),
        _bmp_that_claims(1 << 30, 1 << 30),
        _webp_that_claims(3200, 3200),
        _webp_that_claims(16_000, 16_000),
    ],
    ids=lambda content: f"{bytes(content[:4])!r}",
)
def test_a_bomb_is_not_decoded(store: CoverStore, content: bytes) -> None:
    with pytest.raises(UnreadableCover, match=r"more (pixels )?than any cover needs"):
        store.put(content)


_PROGRAM_FOR_MEMORY = """
import sys
from pathlib import Path
from nomarr.components.media import cover_art_comp
from nomarr.components.media.cover_store_comp import CoverStore
CoverStore(Path(sys.argv[2])).put(Path(sys.argv[1]).read_bytes())
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "side", "options"),
    [
        ("JPEG", 9990, {"quality": 60}),
        ("JPEG", 4850, {"quality": 60, "progressive": True, "subsampling": 0}),
        ("PNG", 5000, {"compress_level": 1}),
        ("WEBP", 3060, {"quality": 50, "method": 0}),
        ("TIFF", 3600, {"compression": "tiff_lzw"}),
    ],
    ids=["JPEG", "progressive", "PNG", "WebP", "TIFF"],
)
def test_the_largest_images_need_less_than_200_mib(
    tmp_path: Path, kind: str, side: int, options: dict[str, object]
) -> None:
    image = Image.effect_noise((side // 10, side // 10), 80).convert("RGB").resize((side, side))
    path = tmp_path / "image"
    path.write_bytes(encoded_as(image if kind == "JPEG" else image.convert("RGBA"), kind, **options))
    command = [sys.executable, "-c", _PROGRAM_FOR_MEMORY, str(path), str(tmp_path / "covers")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert int(done.stdout) << 10 < 200 << 20


def test_a_process_that_stores_nothing_does_not_load_pillow() -> None:
    program = (
        "import sys; from nomarr.components.media import cover_art_comp, cover_store_comp; print('PIL' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_what_is_there_is_not_written_again(store: CoverStore, tmp_path: Path) -> None:
    first = store.put(a_png(1))
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*") if path.is_file()}
    assert store.put(a_png(1)) == first
    assert {path: path.stat().st_ino for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_lost_thumbnail_comes_back(store: CoverStore) -> None:
    cover = store.put(a_png(1))
    lost = store.thumbnail(cover.cover_id, 96)
    assert lost is not None
    lost.unlink()
    assert store.thumbnail(cover.cover_id, 96) is None
    store.put(a_png(1))
    assert store.thumbnail(cover.cover_id, 96) == lost


def test_what_was_removed_is_gone_and_can_come_back(store: CoverStore, tmp_path: Path) -> None:
    kept, removed = store.put(a_png(1)), store.put(a_png(2))
    for _ in range(2):
        store.remove(removed.cover_id)
        assert store.original(removed.cover_id) is None
        assert [store.thumbnail(removed.cover_id, size) for size in THUMBNAIL_SIZES] == [None, None]
    assert list(store.ids()) == [kept.cover_id]
    assert len(files_in(tmp_path)) == 3
    assert store.put(a_png(2)) == removed
    assert store.original(removed.cover_id) is not None


def test_an_empty_store_has_nothing(store: CoverStore, tmp_path: Path) -> None:
    assert list(store.ids()) == []
    assert store.original(AN_ID) is None
    assert store.thumbnail(AN_ID, 600) is None
    store.remove(AN_ID)
    assert not (tmp_path / "covers").exists()


@pytest.mark.parametrize("wrong", ["", "ab", "../../../../etc/passwd", AN_ID.upper(), AN_ID + "\n", AN_ID[:-1] + "/"])
def test_only_an_id_leads_to_a_file(store: CoverStore, wrong: str) -> None:
    for use in (store.original, store.remove, lambda cover_id: store.thumbnail(cover_id, 96)):
        with pytest.raises(ValueError, match="is not the id of a cover"):
            use(wrong)
    with pytest.raises(ValueError, match="no thumbnails of 97 pixels"):
        store.thumbnail(AN_ID, 97)


def test_ids_are_found_by_whatever_is_left_of_them(store: CoverStore, tmp_path: Path) -> None:
    folder = tmp_path / "covers"
    whole = store.put(a_png(1)).cover_id
    leftovers = {f"{n:02x}" + AN_ID[2:]: suffix for n, suffix in enumerate((".96.webp", ".600.webp", ".5f3a.tmp"))}
    for cover_id, suffix in leftovers.items():
        (folder / cover_id[:2]).mkdir(exist_ok=True)
        (folder / cover_id[:2] / (cover_id + suffix)).write_bytes(b"half of")
    for foreign in ("README", "00/notes.txt", "00/" + "f" * 32, "zz/" + AN_ID):
        (folder / foreign).parent.mkdir(exist_ok=True)
        (folder / foreign).write_bytes(b"not ours")
    assert list(store.ids()) == sorted([*leftovers, whole])
    assert [cover_id for cover_id in store.ids() if store.original(cover_id)] == [whole]
    for cover_id in leftovers:
        store.remove(cover_id)
    assert list(store.ids()) == [whole]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["put", "remove"]), st.integers(0, 3)), max_size=12))
def test_the_store_holds_what_was_put_and_not_removed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    store = CoverStore(tmp_path_factory.mktemp("covers"))
    images = {number: encoded_as(Image.new("L", (3, 3), number), "PNG") for number in range(4)}
    names = {number: xxhash.xxh3_128_hexdigest(content) for number, content in images.items()}
    expected = set()
    for action, number in steps:
        if action == "put":
            store.put(images[number])
            expected.add(names[number])
        else:
            store.remove(names[number])
            expected.discard(names[number])
        assert set(store.ids()) == expected


_PROGRAM = """
import sys
from pathlib import Path
from nomarr.components.media.cover_store_comp import CoverStore
store, images = CoverStore(Path(sys.argv[1])), sorted(Path(sys.argv[2]).iterdir())
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    for path in images:
        cover = store.put(path.read_bytes())
        if sys.argv[4] == "remove":
            store.remove(cover.cover_id)
print("done", flush=True)
"""


def _images_in(folder: Path, how_many: int) -> Path:
    folder.mkdir()
    for number in range(how_many):
        (folder / f"{number:03}.png").write_bytes(a_png(number))
    return folder


def _started(covers: Path, images: Path, *, rounds: int = 1, then: str = "keep") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _PROGRAM, str(covers), str(images), str(rounds), then]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _let_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def assert_nothing_half_done(covers: Path) -> int:
    """Every original is what its name says and has its thumbnails; how many there are."""
    store = CoverStore(covers)
    originals = [path for cover_id in store.ids() if (path := store.original(cover_id))]
    for path in originals:
        assert xxhash.xxh3_128_hexdigest(path.read_bytes()) == path.name
        assert [max(opened(store.thumbnail(path.name, size)).size) for size in THUMBNAIL_SIZES] == [96, 600]
    return len(originals)


def test_a_kill_leaves_nothing_half_done(tmp_path: Path) -> None:
    images = _images_in(tmp_path / "images", 20)
    numbers = random.Random(1)
    with_leftovers = 0
    for attempt in range(8):
        covers = tmp_path / f"covers{attempt}"
        process = _started(covers, images)
        files_until_kill = numbers.randrange(1, 40)
        _let_go(process)
        while len(files_in(covers)) < files_until_kill:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        complete = assert_nothing_half_done(covers)
        store = CoverStore(covers)
        left = [cover_id for cover_id in store.ids() if store.original(cover_id) is None]
        with_leftovers += bool(left)
        for cover_id in left:
            store.remove(cover_id)
        assert len(files_in(covers)) == complete * 3
    assert with_leftovers, "no kill came in the middle"


def test_two_processes_put_the_same_images_at_the_same_time(tmp_path: Path) -> None:
    images, covers = _images_in(tmp_path / "images", 15), tmp_path / "covers"
    processes = [_started(covers, images) for _ in range(2)]
    for process in processes:
        _let_go(process)
    assert [process.communicate()[0] for process in processes] == ["done\n"] * 2
    assert assert_nothing_half_done(covers) == 15
    assert len(files_in(covers)) == 45


def test_putting_and_removing_at_the_same_time_leaves_all_or_nothing(tmp_path: Path) -> None:
    images, covers = _images_in(tmp_path / "images", 3), tmp_path / "covers"
    processes = [_started(covers, images, rounds=8, then=then) for then in ("keep", "remove")]
    for process in processes:
        _let_go(process)
    assert [process.communicate()[0] for process in processes] == ["done\n"] * 2
    complete = assert_nothing_half_done(covers)
    assert len(files_in(covers)) == complete * 3


def test_a_full_disk_is_said_and_nothing_of_the_image_stays(tmp_path: Path) -> None:
    covers = tmp_path / "covers"
    covers.mkdir()
    with mounted(covers):
        subprocess.run(["mount", "-o", "remount,size=64k", str(covers)], check=True)
        store = CoverStore(covers)
        small = store.put(a_png(1))
        noise = encoded_as(Image.effect_noise((300, 300), 90), "PNG")
        with pytest.raises(StorageFull) as full:
            store.put(noise)
        assert str(covers) in str(full.value)
        assert list(store.ids()) == [small.cover_id]
        assert len(files_in(covers)) == 3


def test_a_folder_that_may_not_be_written_is_said() -> None:
    with open_to_everybody() as everybody:
        covers = everybody / "covers"
        store = CoverStore(covers)
        there = store.put(a_png(1))
        give_away(everybody)
        for path in (covers, *covers.iterdir()):
            path.chmod(0o500)
        with without_privileges():
            assert store.put(a_png(1)) == there
            for refused in (lambda: store.put(a_png(2)), lambda: store.remove(there.cover_id)):
                with pytest.raises(CoverFolderUnusable, match="Permission denied"):
                    refused()
        assert store.original(there.cover_id) is not None


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "covers").write_bytes(b"")
    store = CoverStore(tmp_path / "covers")
    for use in (lambda: store.put(a_png(1)), lambda: list(store.ids()), lambda: store.original(AN_ID)):
        with pytest.raises(CoverFolderUnusable, match="Not a directory"):
            use()
