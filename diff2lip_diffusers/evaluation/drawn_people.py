"""Writes drawn people whose mouths are to be replaced, with the truth, and controls that measures must tell apart.

Each person of the corpus's test split says a sentence; the target speech is that of the next person. The truth is the
same person in the same poses who says the target speech.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..batch.pairs import Pair
from ..corpus.corpus_folder import CorpusClip, clip_name
from ..corpus.head_view import face_box
from ..corpus.identity import Identity, draw_identity
from ..corpus.lifelike.framing import draw_poses
from ..corpus.make_corpus import CorpusSettings, covered_mouths, write_description, write_speech, write_video
from ..corpus.motion import Pose
from ..corpus.mouth_table import write_mouth_table
from ..corpus.utterance import SpokenClip, draw_utterance
from ..media.reader import read_rgb
from ..media.video_writer import VideoWriter

FIRST_SEED = 900_001
FPS, SIZE_PX = 25, 192
AT_REST = (0.0, 0.5, 0.05, 0.0, 0.0, 0.0)
# By how many frames the mouth of the shifted control is late; the blur of the blurred one, as a part of the frame.
LATE_FRAMES, BLUR_SIGMA = 3, 1 / 128
CONTROLS = ("truth", "shifted", "frozen", "blurred", "silent")


@dataclass(frozen=True)
class DrawnPerson:
    """A drawn person who says one sentence and should say another.

    Attributes:
        name: of the files.
        identity: the person.
        poses: of the head, N frames at 25 per second.
        original: the speech in the source video, N / 25 seconds of it.
        target: the speech that the mouth should follow, as long.
    """

    name: str
    identity: Identity
    poses: list[Pose]
    original: SpokenClip
    target: SpokenClip

    def mouth(self, spoken: SpokenClip, late_frames: int = 0) -> np.ndarray:
        """The true mouth (N, 6) that says a speech, `late_frames` later than its sound."""
        return spoken.mouth_at((np.arange(len(self.poses)) - late_frames) / FPS)


def draw_people(count: int, max_frames: int, first_seed: int = FIRST_SEED, look: str = "plain") -> list[DrawnPerson]:
    """Draws people of the corpus's test split, whose voices and sentences are not in the training split either.

    Args:
        count: of people, at least 2.
        max_frames: longest clip in frames; shorter where one of the two sentences is.
        first_seed: of the first person; odd.
        look: of the people: `"plain"`, `"life"` or `"mixed"`.

    Raises:
        ValueError: if `count` is below 2 or `first_seed` is even.
        EspeakError: if espeak-ng is not installed.
    """
    if count < 2:
        raise ValueError(f"`count` is {count}, expected 2 or more: each person gets the speech of the next one")
    if first_seed % 2 == 0:
        raise ValueError(f"`first_seed` is {first_seed}, expected an odd number: even ones are for training")
    seeds = [first_seed + 2 * index for index in range(count)]
    spoken = [draw_utterance(seed, "test") for seed in seeds]
    return [
        _person(clip_name(index), draw_identity(seed, look), spoken[index], spoken[(index + 1) % count], max_frames)
        for index, seed in enumerate(seeds)
    ]


def _person(name: str, identity: Identity, original: SpokenClip, target: SpokenClip, max_frames: int) -> DrawnPerson:
    count = min(max_frames, int(original.duration_s * FPS), int(target.duration_s * FPS))
    poses = draw_poses(identity, np.arange(count) / FPS)
    return DrawnPerson(name, identity, poses, _cut(original, count), _cut(target, count))


def _cut(spoken: SpokenClip, num_frames: int) -> SpokenClip:
    return replace(spoken, samples=spoken.samples[: round(num_frames / FPS * spoken.sampling_rate)])


def write_people(folder: Path, people: Sequence[DrawnPerson], size_px: int = SIZE_PX) -> list[Pair]:
    """Writes what is to be lip-synced and the truth; returns the pairs of source video and target speech.

    `source/` has the videos to lip-sync; `truth/` what they should look like, with the target speech as `NAME.wav`,
    its true mouths as `NAME.csv`, and those of the source video as `NAME.original.csv`. Finished files are kept.

    Raises:
        MediaError: if a file cannot be written.
    """
    settings = CorpusSettings(split="test", fps=FPS, size_px=size_px)
    for part in ("source", "truth"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for person in people:
        truth = _write_clip(folder / "truth", person, person.target, settings)
        _write_clip(folder / "source", person, person.original, settings)
        table = truth.mouth_table.with_suffix(".original.csv")
        write_mouth_table(table, FPS, person.mouth(person.original))
    return [
        Pair(folder / "source" / f"{person.name}.mp4", folder / "truth" / f"{person.name}.wav", f"{person.name}.mp4")
        for person in people
    ]


def _write_clip(folder: Path, person: DrawnPerson, spoken: SpokenClip, settings: CorpusSettings) -> CorpusClip:
    clip = CorpusClip(folder, person.name, FPS)
    if not clip.description.is_file():
        mouth = person.mouth(spoken)
        write_speech(clip, spoken, mouth, covered_mouths(person.identity, person.poses))
        write_video(clip, settings, person.identity, person.poses, mouth)
        write_description(clip, person.identity, spoken)
    return clip


def write_control(folder: Path, name: str, person: DrawnPerson, truth: Path, size_px: int = SIZE_PX) -> Path:
    """Writes a control of a person: a video of which it is known how measures must judge it; kept if it is there.

    Args:
        folder: of the control's videos.
        name: `"truth"`, the truth itself; `"shifted"`, the mouth 3 frames late; `"frozen"`, the mouth at rest
            throughout; `"blurred"`, the painted part blurred; `"silent"`, the true picture with silence as its sound.
        person: who is drawn.
        truth: folder `truth` of `write_people`.
        size_px: of the frames.

    Raises:
        ValueError: if there is no such control.
        MediaError: if a file cannot be read or written.
    """
    if name not in CONTROLS:
        raise ValueError(f"`name` is {name!r}, expected one of {', '.join(CONTROLS)}")
    path, true = folder / f"{person.name}.mp4", truth / f"{person.name}.mp4"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    settings, clip = CorpusSettings(split="test", fps=FPS, size_px=size_px), CorpusClip(folder, person.name, FPS)
    spoken, mouth = person.target, person.mouth(person.target)
    if name == "truth":
        path.symlink_to(true.resolve())
        return path
    if name == "shifted":
        mouth = person.mouth(person.target, LATE_FRAMES)
    elif name == "frozen":
        mouth = np.tile(np.array(AT_REST, np.float32), (len(person.poses), 1))
    elif name == "silent":
        spoken = replace(spoken, samples=np.zeros_like(spoken.samples))
    write_speech(clip, spoken, mouth)
    if name == "blurred":
        _write_blurred(path, true, clip.speech, person, settings)
    else:
        write_video(clip, settings, person.identity, person.poses, mouth)
    return path


def _write_blurred(path: Path, true: Path, speech: Path, person: DrawnPerson, settings: CorpusSettings) -> None:
    size = settings.size_px
    with VideoWriter(path, width=size, height=size, fps=FPS, audio=speech, crf=settings.crf) as writer:
        for frame, pose in zip(read_rgb(true), person.poses, strict=False):
            box = face_box(person.identity, pose, size).clipped(size, size).rounded()
            top, x1, x2 = int(box.y1 + box.y2) // 2, int(box.x1), int(box.x2)
            blurred = frame.copy()
            blurred[top : int(box.y2), x1:x2] = gaussian_blur(frame, BLUR_SIGMA * size)[top : int(box.y2), x1:x2]
            writer.write(blurred)


def gaussian_blur(frame: np.ndarray, sigma_px: float) -> np.ndarray:
    """Returns a frame (H, W, 3) uint8 after a Gaussian of this width, edges repeated."""
    reach = int(3 * sigma_px + 0.5)
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma_px**2))
    weights = (weights / weights.sum()).astype(np.float32)
    height, width = frame.shape[:2]
    padded = np.pad(frame.astype(np.float32), ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    rows = sum(weight * padded[index : index + height] for index, weight in enumerate(weights))
    both = sum(weight * rows[:, index : index + width] for index, weight in enumerate(weights))  # pyright: ignore
    return np.clip(np.round(both), 0, 255).astype(np.uint8)
