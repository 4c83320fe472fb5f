"""Refuses files with long parts that are no audio or video: FFmpeg holds them in memory, or reads them bit by bit."""

import re
from os import SEEK_CUR
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
# Chunks of a WAV file, which has fewer than a hundred; FFmpeg takes zeros behind its audio for chunks of 8 bytes.
MOST_CHUNKS = 100_000
WAV = re.compile(rb"(?s:(RIFF|RF64|RIFX)....WAVE)")
# Where a frame may start: MPEG audio, AAC and FLAC; MPEG video, H.264 and HEVC; AC-3; DTS; JPEG.
FRAME_START = re.compile(rb"\xff[\xd8\xe0-\xff]|\x00\x00\x01|\x0b\x77|\x77\x0b|\x7f\xfe\x80|\xfe\x7f\x01")


def check_raw_stream(path: str | Path) -> None:
    """Makes sure that a raw stream, such as mp3, has a frame in each of its parts, and a WAV file few empty chunks.

    Raises:
        MediaError: more than 32 MiB in a row are something else, for example the zeros of an unfinished download; of a
            WAV file, more than 0.8 MB.
        OSError: it cannot be read.
    """
    junk = 0
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
        if CONTAINER.match(head):
            if WAV.match(head):
                _check_chunks(file, path, "big" if head.startswith(b"RIFX") else "little")
            return
        while block := file.read(BLOCK_BYTES):
            junk = 0 if FRAME_START.search(block) else junk + 1
            if junk > MOST_JUNK_BLOCKS:
                raise MediaError(
                    path, f"holds more than {MOST_JUNK_BLOCKS} MiB that are no video or audio; download it again"
                )


def _check_chunks(file: BinaryIO, path: str | Path, order: Literal["big", "little"]) -> None:
    """Makes sure that a WAV file, of which the head was read, has few chunks."""
    for _ in range(MOST_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            return
        size = int.from_bytes(header[4:], order)
        file.seek(size + size % 2, SEEK_CUR)
    raise MediaError(path, f"has more than {MOST_CHUNKS} parts, most of them empty; download or convert it again")
