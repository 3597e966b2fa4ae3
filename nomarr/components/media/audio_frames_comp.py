"""Where the frames of MPEG audio (layer 1 to 3) and ADTS (AAC) begin: streams without a header of the whole.

Frame headers: ISO 11172-3, 2.4.1.3 and ISO 13818-3, 2.4.2.3; ISO 13818-7, 6.2.
"""

from __future__ import annotations

from typing import Final

from nomarr.components.media.audio_file_comp import AudioFile

__all__ = ["first_frame"]

_FRAMES_IN_A_ROW: Final = 3
"""One header is found in every photograph; three that lead to each other are sound."""

_LONGEST_FRAME_BYTES: Final = 8191
_QUICK_BYTES: Final = 4096
_SEARCH_BYTES: Final = 128 << 10
_LAYER_3, _LAYER_2, _LAYER_1 = 1, 2, 3
_MPEG_1: Final = 3
_KBIT: Final = {
    (True, _LAYER_1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, _LAYER_2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, _LAYER_3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, _LAYER_1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, _LAYER_2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, _LAYER_3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""(is MPEG 1, layer) to the bit rates 1 to 14."""

_HERTZ: Final = {_MPEG_1: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""MPEG version 1, 2 and 2.5 to the sample rates."""


def first_frame(audio: AudioFile, start: int, end: int) -> int | None:
    """Where the first frame between `start` and `end` begins; None if there is none near `start`."""
    length = min(_QUICK_BYTES, end - start)
    if _begins_frames(audio.read_at(start, length), 0):
        return start
    length = min(_SEARCH_BYTES, end - start)
    block = audio.read_at(start, length)
    # Near the end of the block there is no room for frames in a row.
    last = length if length == end - start else length - _FRAMES_IN_A_ROW * _LONGEST_FRAME_BYTES
    at = block.find(b"\xff")
    while 0 <= at < last:
        if _begins_frames(block, at):
            return start + at
        at = block.find(b"\xff", at + 1)
    return None


def _begins_frames(block: bytes, at: int) -> bool:
    """Whether frames of one kind follow each other from here, as far as the block goes."""
    first = at
    for _ in range(_FRAMES_IN_A_ROW):
        frame_bytes = _frame_bytes(block, at)
        if not frame_bytes or _kind_of(block, at) != _kind_of(block, first):
            return False
        at += frame_bytes
        if at + 8 > len(block):
            break
    return True


def _kind_of(block: bytes, at: int) -> tuple[int, int]:
    """What stays the same in all frames of a stream: version, layer and sample rate."""
    return block[at + 1] & 0xFE, block[at + 2] & 0x0C


def _frame_bytes(block: bytes, at: int) -> int:
    """The length of the frame whose header is here; 0 if there is none."""
    if at + 8 > len(block) or block[at] != 0xFF:
        return 0
    if block[at + 1] & 0xF6 == 0xF0:
        return _adts_frame_bytes(block, at)
    return _mpeg_frame_bytes(block[at + 1], block[at + 2]) if block[at + 1] & 0xE0 == 0xE0 else 0


def _adts_frame_bytes(block: bytes, at: int) -> int:
    length = (block[at + 3] & 0x03) << 11 | block[at + 4] << 3 | block[at + 5] >> 5
    has_sample_rate = block[at + 2] >> 2 & 0x0F < 13
    return length if has_sample_rate and length > 7 else 0


def _mpeg_frame_bytes(second: int, third: int) -> int:
    version, layer = second >> 3 & 3, second >> 1 & 3
    bit_rate, sample_rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if version not in _HERTZ or not layer or not 0 < bit_rate < 15 or sample_rate == 3:
        return 0
    bits = _KBIT[version == _MPEG_1, layer][bit_rate - 1] * 1000
    hertz = _HERTZ[version][sample_rate]
    if layer == _LAYER_1:
        return (12 * bits // hertz + padding) * 4
    samples = 576 if layer == _LAYER_3 and version != _MPEG_1 else 1152
    return samples // 8 * bits // hertz + padding
