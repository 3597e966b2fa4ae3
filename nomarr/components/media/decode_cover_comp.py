"""What Pillow knows of an image: its header without decoding it, and small copies of it in bounded memory."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nomarr.helpers.dto.enrichment import ThumbnailSize

if TYPE_CHECKING:
    # Pillow takes 70 ms and 6 MiB to import: only where an image is looked at.
    from PIL import Image

__all__ = [
    "MAX_DECODING_BYTES",
    "MAX_PIXELS",
    "THUMBNAIL_SIZES",
    "CoverHeader",
    "UnreadableCover",
    "read_header",
    "thumbnails",
]

THUMBNAIL_SIZES: Final = tuple(size.value for size in ThumbnailSize)

MAX_PIXELS: Final = 100_000_000
"""No image has more: it would take seconds to decode."""

MAX_DECODING_BYTES: Final = 144 << 20
"""No image needs more memory while it is decoded, itself included: a process that reads covers stays below 200 MiB.

Up to 100 megapixels of a usual JPEG, which is decoded to an eighth of its size, 23 of a progressive one, 33 of PNG, GIF
and BMP, 18 of TIFF and 9 of WebP; fewer where the file itself is large."""

# Measured with Pillow 13: how much the memory of a process grows by.
_BYTES_PER_PIXEL: Final = {"JPEG": 0.5, "WEBP": 16.0, "TIFF": 8.0}
_USUAL_BYTES_PER_PIXEL: Final = 4.5
_BUFFERED_JPEG_BYTES_PER_PIXEL: Final = 6.3
"""A JPEG in several scans is kept in memory in full, whatever size it is decoded to."""

_MIME_TYPES: Final = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with further pictures behind it
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
_DECODERS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_ENOUGH: Final = 2 * THUMBNAIL_SIZES[-1]
"""The longest side from which a good thumbnail can still be made."""

_BAND_ROWS: Final = 16
_WEBP_QUALITY: Final = 80
_WEBP_EFFORT: Final = 1
"""Half the time of the usual 4 for files of the same size, at most 0.7 dB worse."""
_ORIENTATION_TAG: Final = 0x0112
_UPRIGHT: Final = 1
_ON_ITS_SIDE: Final = (5, 6, 7, 8)

_one_at_a_time = threading.Lock()
"""Bounds the memory of this process, and keeps `warnings.catch_warnings` to one thread."""


class UnreadableCover(Exception):
    """What is no usable image; `str()` continues a sentence that begins with the file's name."""


@dataclass(frozen=True, slots=True)
class CoverHeader:
    """What an image says of itself before it is decoded."""

    mime_type: str
    width: int
    height: int
    """As it is shown: EXIF may say that it was taken on its side."""


def read_header(content: bytes) -> CoverHeader:
    """The header of an image; what it says of the rest need not be true.

    Raises UnreadableCover for what is no image of a known format, and for one that is too large to decode.
    """
    with _opened(content) as image:
        width, height = image.size
        if _orientation(image) in _ON_ITS_SIDE:
            width, height = height, width
        return CoverHeader(_MIME_TYPES[str(image.format)], width, height)


def thumbnails(content: bytes) -> dict[int, bytes]:
    """A WebP for each of `THUMBNAIL_SIZES`: upright, the first frame, transparent where the image is, never enlarged.

    Raises UnreadableCover as `read_header` does, and for an image that can't be decoded to its end.
    """
    with _opened(content) as image:
        copy = _small_copy(image)
        encoded = {}
        for size in reversed(THUMBNAIL_SIZES):
            copy.thumbnail((size, size), _resampling())
            encoded[size] = _as_webp(copy)
        return encoded


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    """The image, not yet decoded; whatever Pillow raises inside becomes UnreadableCover."""
    from PIL import Image, UnidentifiedImageError

    with _one_at_a_time, warnings.catch_warnings():
        # Size is judged below, and nobody reads what else Pillow has to remark about somebody's files.
        warnings.simplefilter("ignore")
        stream = io.BytesIO(content)
        try:
            with Image.open(stream, formats=_DECODERS) as image:
                _refuse_bomb(image, content, stream.tell())
                yield image
        except UnreadableCover:
            raise
        except UnidentifiedImageError:
            raise UnreadableCover(_what_it_is_not(content)) from None
        except Image.DecompressionBombError:
            raise UnreadableCover("claims more pixels than any cover needs") from None
        except MemoryError:
            raise UnreadableCover("needs more memory than there is") from None
        except Exception as problem:
            # Decoders meet every damage there is, each with an exception of its own.
            raise UnreadableCover(f"is a damaged image ({_one_line(problem)})") from problem


def _refuse_bomb(image: Image.Image, content: bytes, position: int) -> None:
    width, height = image.size
    needed = width * height * _bytes_per_pixel(image, content, position) + len(content)
    if width * height > MAX_PIXELS or needed > MAX_DECODING_BYTES:
        raise UnreadableCover(f"has {width} x {height} pixels, more than any cover needs")


def _bytes_per_pixel(image: Image.Image, content: bytes, position: int) -> float:
    if image.format in ("JPEG", "MPO"):
        return _BYTES_PER_PIXEL["JPEG"] if _is_in_one_scan(image, content, position) else _BUFFERED_JPEG_BYTES_PER_PIXEL
    return _BYTES_PER_PIXEL.get(str(image.format), _USUAL_BYTES_PER_PIXEL)


def _is_in_one_scan(image: Image.Image, content: bytes, position: int) -> bool:
    """Whether the JPEG header that ends at `position` announces all colours at once (ITU T.81, B.2.3)."""
    colours = len(image.getbands())
    start = position - 6 - 2 * colours
    is_baseline = "progressive" not in image.info
    return is_baseline and start > 0 and content[start : start + 3] == struct.pack(">HB", 6 + 2 * colours, colours)


def _small_copy(image: Image.Image) -> Image.Image:
    """An upright copy in RGB or RGBA, not much larger than `_ENOUGH`."""
    from PIL import Image, ImageOps

    longest = max(image.size)
    # The box keeps the proportions: a decoder looks at both sides.
    image.draft(None, tuple(max(1, side * _ENOUGH // longest) for side in image.size))  # type: ignore[arg-type]
    image.load()
    orientation = _orientation(image)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    factor = max(1, max(image.size) // _ENOUGH)
    width, height = image.size
    small = Image.new(mode, (-(-width // factor), -(-height // factor)))
    # In bands, since a second copy of the whole in another mode may not fit.
    for top in range(0, height, _BAND_ROWS * factor):
        band = image.crop((0, top, width, min(height, top + _BAND_ROWS * factor)))
        small.paste(_in_mode(band, mode).reduce(factor), (0, top // factor))
    small.getexif()[_ORIENTATION_TAG] = orientation
    return ImageOps.exif_transpose(small)


def _in_mode(band: Image.Image, mode: str) -> Image.Image:
    if band.mode.startswith("I;16"):
        # Pillow cuts 16 bits off at 255.
        band = band.point(lambda value: value / 256).convert("L")
    return band.convert(mode)


def _orientation(image: Image.Image) -> int:
    """As EXIF has it, 1 to 8; upright where it makes no sense, and for TIFF, which Pillow turns by itself."""
    from PIL import Image

    if image.format == "TIFF":
        return _UPRIGHT
    try:
        # A PNG's own method would decode the image to look behind it.
        value = Image.Image.getexif(image).get(_ORIENTATION_TAG)
    except (KeyError, OSError, SyntaxError, TypeError, ValueError, struct.error):
        return _UPRIGHT
    return value if isinstance(value, int) and value in range(1, 9) else _UPRIGHT


def _as_webp(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=_WEBP_QUALITY, method=_WEBP_EFFORT)
    return stream.getvalue()


def _resampling() -> Image.Resampling:
    from PIL import Image

    return Image.Resampling.LANCZOS


def _what_it_is_not(content: bytes) -> str:
    if not content:
        return "is empty"
    head = content[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith((b"<?xml", b"<svg")):
        return "is an SVG drawing, which can't be a cover here"
    return "is not an image of a known format (JPEG, PNG, WebP, GIF, BMP, TIFF), or cut short in its header"


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200] or type(problem).__name__
