"""Small data sets for tests and benchmarks of batches: films of a face with speeches, of unequal length."""

from pathlib import Path

import numpy as np
from face_films import WOMAN, on_background, write_film, write_speech


def write_pairs(root: Path, counts: list[int], size: tuple[int, int] = (320, 288)) -> Path:
    """Writes a film and a speech for each number of frames, and the list of them, `root/pairs.txt`, AUDIO VIDEO."""
    (root / "speech").mkdir(parents=True)
    (root / "face").mkdir()
    for index, count in enumerate(counts):
        write_film(root / "face" / f"{index:02d}.mp4", (_frame(index, number, size) for number in range(count)))
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
