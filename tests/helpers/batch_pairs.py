"""Small data sets for tests of batches: videos of a face and speech recordings, of unequal length."""

import hashlib
import json
from pathlib import Path

import av
import numpy as np

from helpers.face_videos import WOMAN, on_background, write_speech, write_video


def write_pairs(root: Path, counts: list[int], size: tuple[int, int] = (320, 288)) -> Path:
    """Writes a video and a recording for each number of frames, and their list `root/pairs.txt`, AUDIO VIDEO."""
    (root / "speech").mkdir(parents=True)
    (root / "face").mkdir()
    for index, count in enumerate(counts):
        write_video(root / "face" / f"{index:02d}.mp4", (_frame(index, number, size) for number in range(count)))
        write_speech(root / "speech" / f"{index:02d}.wav", count / 25)
    lines = [f"speech/{index:02d}.wav face/{index:02d}" for index in range(len(counts))]
    (root / "pairs.txt").write_text("\n".join(lines) + "\n")
    return root / "pairs.txt"


def _frame(index: int, number: int, size: tuple[int, int]) -> np.ndarray:
    x, y = 10 + 2 * (index % 20) + number % 2, 2 + number % 3
    return on_background([(WOMAN, x, y)], *size)


def output_names(count: int) -> list[str]:
    """The outputs of those pairs."""
    return [f"speech.{index:02d}_face.{index:02d}.mp4" for index in range(count)]


def decoded(folder: Path) -> dict[str, str]:
    """A digest of all frames and audio in each video of a folder, by its name."""
    return {path.name: video_digest(path) for path in sorted(folder.glob("*.mp4"))}


def video_digest(path: Path) -> str:
    """A digest of all frames and audio of a video."""
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for frame in container.decode():
            digest.update(f"{type(frame).__name__} {frame.format.name} {frame.pts} {frame.time_base}".encode())
            digest.update(frame.to_ndarray().tobytes())
    return digest.hexdigest()


def results(folder: Path) -> list[dict]:
    """The records in the `results.jsonl` of an output folder."""
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def logged(folder: Path) -> list[dict]:
    """All records in the journals of an output folder, each process's own in order; incomplete lines are skipped."""
    lines = [line for log in folder.glob(".diff2lip/results/*.jsonl") for line in log.read_text().splitlines(True)]
    return [json.loads(line) for line in lines if line.endswith("\n")]
