"""Films for the tests of training sets: a face whose place is known, with sound, or something to be dropped."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diff2lip_diffusers.boxes import Detection, FaceBox
from diff2lip_diffusers.faces.detections_file import DetectionsWriter
from helpers.face_videos import WOMAN, WOMAN_FACE, on_background, write_speech, write_video

WIDTH, HEIGHT = 320, 300
PLACE = (40, 10)
FACE = FaceBox(WOMAN_FACE.x1 + 40, WOMAN_FACE.y1 + 10, WOMAN_FACE.x2 + 40, WOMAN_FACE.y2 + 10)


def portrait(number: int = 0, person: np.ndarray = WOMAN) -> np.ndarray:
    """The face at its place; each of up to 60 pictures is a little brighter, so that they can be told apart."""
    frame = on_background([(person, *PLACE)], WIDTH, HEIGHT)
    return (frame * (0.4 + 0.01 * number)).astype(np.uint8)


def other_place() -> np.ndarray:
    """A picture without anybody, of other colors."""
    return 255 - on_background([], WIDTH, HEIGHT)


def write_boxes(video: Path, boxes: Sequence[FaceBox | None]) -> None:
    with DetectionsWriter(video.with_name(f"{video.stem}.boxes.jsonl"), WIDTH, HEIGHT, 25) as writer:
        for box in boxes:
            writer.write([] if box is None else [Detection(box, 1.0)])


def write_talk(
    path: Path, count: int = 30, frames: Sequence[np.ndarray] | None = None, boxes=None, speech: str | None = "inside"
) -> Path:
    """A film with known boxes; its sound `"inside"`, `"beside"` as a wave file, or None."""
    frames = [portrait(number) for number in range(count)] if frames is None else frames
    write_boxes(path, [FACE] * len(frames) if boxes is None else boxes)
    wave = path.with_suffix(".wav")
    if speech:
        write_speech(wave, len(frames) / 25)
    write_video(path, frames, audio=wave if speech == "inside" else None, crf=4)
    if speech == "inside":
        wave.unlink()
    return path
