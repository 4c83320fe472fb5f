"""Renders a corpus of drawn faces that speak, with their true mouth parameters."""

import json
import wave
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..boxes import Detection
from ..errors import Diff2LipError, MediaError
from ..faces.detections_file import DetectionsWriter
from ..media.video_writer import VideoWriter
from ..output_paths import hidden_folder_beside, writing
from ..worker_processes import run_jobs
from .corpus_folder import SETTINGS_NAME, VERSION, CorpusClip, clip_name, read_settings
from .espeak import check_espeak
from .head_view import face_box
from .identity import Identity, draw_identity, look_of
from .lifelike.camera import camera_of, film
from .lifelike.frame import mouth_is_covered
from .lifelike.framing import draw_poses
from .motion import Pose
from .mouth_table import write_mouth_table
from .sentences import SPLITS
from .utterance import SpokenClip, draw_utterance

MIN_SIZE_PX = 96
# Settings whose key in corpus.json differs from the field.
STORED_NAMES = {"video": "pictures", "crf": "quality"}
# Of settings that older corpora do not have.
OLD_VALUES = {"look": "plain"}


@dataclass(frozen=True)
class CorpusSettings:
    """Everything that decides the content of a corpus, except the number of clips.

    Attributes:
        seed: decides people, sentences and movements.
        split: `"train"` or `"test"`, which share no person, voice or sentence.
        fps: frames per second.
        size_px: height and width of the frames.
        video: False writes speech and mouth tables only, enough to train an audio encoder.
        crf: of the H.264 video, 0 to 51; lower is better.
        nonsense: uses meaningless words instead of sentences.
        look: of the people: `"plain"`, `"life"`, or `"mixed"`, where each person's seed decides.
    """

    seed: int = 0
    split: str = "train"
    fps: int = 25
    size_px: int = 256
    video: bool = True
    crf: int = 16
    nonsense: bool = False
    look: str = "mixed"

    def __post_init__(self):
        if self.seed < 0:
            raise ValueError(f"`seed` is {self.seed}, expected 0 or more")
        if self.split not in SPLITS:
            raise ValueError(f"`split` is {self.split!r}, expected one of {', '.join(SPLITS)}")
        if not 1 <= self.fps <= 120:
            raise ValueError(f"`fps` is {self.fps}, expected 1 to 120")
        if self.size_px < MIN_SIZE_PX or self.size_px % 2:
            raise ValueError(f"`size_px` is {self.size_px}, expected an even number from {MIN_SIZE_PX} on")
        if not 0 <= self.crf <= 51:
            raise ValueError(f"`crf` is {self.crf}, expected 0 to 51")
        look_of(0, self.look)


def make_corpus(
    output: str | Path,
    clips: int,
    settings: CorpusSettings | None = None,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[CorpusClip]:
    """Renders a corpus, or resumes one; complete clips are not rendered again.

    Args:
        output: its folder.
        clips: number of clips.
        settings: of the corpus.
        workers: number of processes.
        on_progress: is called with the number of finished clips and of all clips.

    Returns:
        The clips 0 to `clips` - 1.

    Raises:
        ValueError: if `clips` or `workers` is not above 0.
        MediaError: if the folder cannot be written, or holds something else.
        Diff2LipError: if the folder holds a corpus with different settings, or espeak-ng is not installed.
    """
    for name, value in (("clips", clips), ("workers", workers)):
        if value < 1:
            raise ValueError(f"`{name}` is {value}, expected 1 or more")
    settings, folder = settings or CorpusSettings(), Path(output)
    _check_folder(folder, settings)
    check_espeak()
    _create_folder(folder, settings)
    wanted = [CorpusClip(folder, clip_name(index), settings.fps) for index in range(clips)]
    waiting = [index for index, clip in enumerate(wanted) if not clip.description.is_file()]
    make_work = partial(_clip_maker, folder, settings)
    made = run_jobs(make_work, waiting, workers)
    for done, _ in enumerate(made, start=clips - len(waiting) + 1):
        if on_progress is not None:
            on_progress(done, clips)
    return wanted


def _check_folder(folder: Path, settings: CorpusSettings) -> None:
    """Checks that the folder is new or empty, or holds a corpus of these settings."""
    if (folder / SETTINGS_NAME).is_file():
        theirs, ours = read_settings(folder), _settings_json(settings)
        for name, value in ours.items():
            if theirs.get(name, OLD_VALUES.get(name)) != value:
                raise Diff2LipError(
                    f"{folder}: holds a corpus with {name} {theirs.get(name)!r}, not {value!r}; choose another folder"
                )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MediaError(folder, "holds something else; choose a new folder")


def _create_folder(folder: Path, settings: CorpusSettings) -> None:
    if (folder / SETTINGS_NAME).is_file():
        return
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / SETTINGS_NAME, json.dumps(_settings_json(settings), indent=2))


def _settings_json(settings: CorpusSettings) -> dict:
    return {"version": VERSION} | {STORED_NAMES.get(name, name): value for name, value in asdict(settings).items()}


def _clip_maker(folder: Path, settings: CorpusSettings) -> Callable[[int], None]:
    return partial(write_clip, folder, settings)


def write_clip(folder: Path, settings: CorpusSettings, index: int) -> None:
    """Writes one clip of a corpus, its description last."""
    seed = clip_seed(settings, index)
    clip = CorpusClip(folder, clip_name(index), settings.fps)
    spoken = draw_utterance(seed, settings.split, settings.nonsense)
    times_s = np.arange(int(spoken.duration_s * settings.fps)) / settings.fps
    mouth = spoken.mouth_at(times_s)
    identity = draw_identity(seed, settings.look)
    if settings.video:
        poses = draw_poses(identity, times_s)
        write_speech(clip, spoken, mouth, covered_mouths(identity, poses))
        write_video(clip, settings, identity, poses, mouth)
    else:
        write_speech(clip, spoken, mouth)
    write_description(clip, identity, spoken)


def write_description(clip: CorpusClip, identity: Identity, spoken: SpokenClip) -> None:
    """Writes who a clip shows and what they say; this completes it."""
    description: dict[str, Any] = {"seed": identity.seed}
    if identity.look != "plain":
        description["look"] = identity.look
    description |= {"text": spoken.text, "voice": asdict(spoken.voice), "identity": identity.to_json()}
    write_text(clip.description, json.dumps(description, indent=2, ensure_ascii=False))


def clip_seed(settings: CorpusSettings, index: int) -> int:
    """The seed of a clip: even for training, odd for testing, so no person is in both splits."""
    return 2 * (settings.seed * 1_000_003 + index) + SPLITS.index(settings.split)


def covered_mouths(identity: Identity, poses: list[Pose]) -> list[bool] | None:
    """Whether something before the face hides the mouth in each frame; None for plain people, who have nothing."""
    return None if identity.traits is None else [mouth_is_covered(identity, pose) for pose in poses]


def write_speech(clip: CorpusClip, spoken: SpokenClip, mouth: np.ndarray, covered: list[bool] | None = None) -> None:
    """Writes a clip's speech and its mouth table, from the mouth parameters (N, 6) of its frames."""
    write_mouth_table(clip.mouth_table, clip.fps, mouth, covered)
    with writing(clip.speech), hidden_folder_beside(clip.speech) as hidden:
        part = Path(hidden) / clip.speech.name
        with wave.open(str(part), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(spoken.sampling_rate)
            file.writeframes(np.round(spoken.samples * 32767).astype("<i2").tobytes())
        part.replace(clip.speech)


def write_video(
    clip: CorpusClip, settings: CorpusSettings, identity: Identity, poses: list[Pose], mouth: np.ndarray
) -> None:
    """Writes a clip's true face boxes, and its video with the speech that is already written."""
    size, crf = settings.size_px, min(51, settings.crf + camera_of(identity).crf)
    with DetectionsWriter(clip.boxes, size, size, settings.fps) as writer:
        for pose in poses:
            writer.write([Detection(face_box(identity, pose, size), 1.0)])
    with VideoWriter(clip.video, width=size, height=size, fps=settings.fps, audio=clip.speech, crf=crf) as writer:
        for frame in film(identity, poses, mouth, size):
            writer.write(frame)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, atomically."""
    with writing(path), hidden_folder_beside(path) as hidden:
        part = Path(hidden) / path.name
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(path)
