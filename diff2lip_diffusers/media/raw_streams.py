"""Refuses files with long parts that are no audio or video: FFmpeg holds them in memory, or reads them bit by bit."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from ..errors import MediaError

HEAD_BYTES, BLOCK_BYTES = 12, 1 << 20
MOST_JUNK_BLOCKS = 32
# Files that state the size of their parts, by their first bytes (at 4 in mp4): in them nothing is searched.
CONTAINER = re.compile(
    rb"(?s:....(?:ftyp|moov|mdat|free|skip|wide|pnot)|\x1aE\xdf\xa3|RIFF|RF64|RIFX|riff|OggS|FLV|0&\xb2u|FORM|caff"
    rb"|\x06\x0e\x2b\x34|GIF8|\x89PNG|DKIF|YUV4|\.snd|G)"
)
# Files of WAV, CAF and Wave64 have fewer chunks than a hundred; FFmpeg takes zeros behind their audio for empty ones.
MOST_CHUNKS, MOST_LOOKED_AT = 100_000, 1_000_000
# Where a frame may start: MPEG audio, AAC and FLAC; MPEG video, H.264 and HEVC; AC-3; DTS; JPEG.
FRAME_START = re.compile(rb"\xff[\xd8\xe0-\xff]|\x00\x00\x01|\x0b\x77|\x77\x0b|\x7f\xfe\x80|\xfe\x7f\x01")


@dataclass(frozen=True)
class _Chunks:
    """How a kind of file consists of chunks, each with a head that states its size. All lengths are in bytes.

    Args:
        mark: pattern of the file's first bytes.
        first: place of the first chunk.
        head: length of a chunk's head.
        size: part of the head that states the size.
        order: of the bytes of the size.
        counts_head: whether the size counts the head, too.
        step: each chunk begins at a multiple of this.
        has_many: whether it may have any number, of which only empty ones in a row count.
    """

    mark: re.Pattern[bytes]
    first: int
    head: int
    size: slice
    order: Literal["big", "little"] = "little"
    counts_head: bool = False
    step: int = 1
    has_many: bool = False


CHUNKED = (
    _Chunks(re.compile(rb"(?s:(RIFF|RF64)....WAVE)"), 12, 8, slice(4, 8), step=2),
    _Chunks(re.compile(rb"(?s:RIFX....WAVE)"), 12, 8, slice(4, 8), "big", step=2),
    _Chunks(re.compile(rb"caff"), 8, 12, slice(4, 12), "big"),
    _Chunks(re.compile(rb"riff"), 40, 24, slice(16, 24), counts_head=True, step=8),
    _Chunks(re.compile(rb"DKIF"), 32, 12, slice(0, 4), has_many=True),
)


def check_raw_stream(path: str | Path) -> None:
    """Makes sure that a raw stream, such as mp3, has a frame in each of its parts, and other files few chunks.

    Raises:
        MediaError: more than 32 MiB in a row are something else, for example the zeros of an unfinished download; of a
            WAV file, more than 0.8 MB.
        OSError: it cannot be read.
    """
    junk = 0
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
        for kind in CHUNKED:
            if kind.mark.match(head):
                _check_chunks(file, path, kind)
        if CONTAINER.match(head):
            return
        while block := file.read(BLOCK_BYTES):
            junk = 0 if FRAME_START.search(block) else junk + 1
            if junk > MOST_JUNK_BLOCKS:
                raise MediaError(
                    path, f"holds more than {MOST_JUNK_BLOCKS} MiB that are no video or audio; download it again"
                )


def _check_chunks(file: BinaryIO, path: str | Path, kind: _Chunks) -> None:
    """Makes sure that a file has few chunks."""
    place, count = kind.first, 0
    for _ in range(MOST_LOOKED_AT):
        file.seek(place)
        head = file.read(kind.head)
        size = int.from_bytes(head[kind.size], kind.order)
        if len(head) < kind.head or size >> 62:  # of audio without an end
            return
        place += max(kind.head, size + (0 if kind.counts_head else kind.head))
        place = -(-place // kind.step) * kind.step
        count = 0 if kind.has_many and size else count + 1
        if count > MOST_CHUNKS:
            raise MediaError(
                path, f"has more than {MOST_CHUNKS} parts, most of them empty; download or convert it again"
            )
