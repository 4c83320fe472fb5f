"""Checks whether finished outputs can be played."""

import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
from av.error import FFmpegError

from .folder import BatchFolder
from .pair_records import DONE

logger = logging.getLogger(__name__)


def remove_undecodable(folder: BatchFolder, records: Iterable[dict]) -> list[str]:
    """Removes finished outputs that cannot be decoded to the end, so that they are made again; returns their names.

    Args:
        folder: files of the batch.
        records: records of outputs, of which those that are done are checked.

    Raises:
        MediaError: if one cannot be removed.
    """
    done = {record["output"]: record.get("num_frames") for record in records if record["status"] == DONE}
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="verify") as threads:
        counts = threads.map(lambda output: _count_in(folder, output), done)
        bad = [output for (output, known), found in zip(done.items(), counts, strict=True) if _differs(found, known)]
    for output in bad:
        if folder.remove(output):
            logger.warning("%s: cannot be decoded to the end; it is made again", folder.output_dir / output)
    return bad


def _count_in(folder: BatchFolder, output: str) -> int | None:
    with folder.local_copy(output) as path:
        return count_frames(path)


def count_frames(path: Path) -> int | None:
    """The number of pictures in a video; None if it has errors or is no file."""
    if not path.is_file():
        return None
    try:
        # A player would skip over errors.
        with av.open(f"file:{path}", options={"err_detect": "explode"}) as container:
            for stream in container.streams:
                stream.codec_context.options = {"err_detect": "explode"}
            return sum(isinstance(frame, av.VideoFrame) for frame in container.decode())
    except (FFmpegError, OSError, ValueError):
        return None


def _differs(found: int | None, known: object) -> bool:
    return found is None or (isinstance(known, int) and found != known)
