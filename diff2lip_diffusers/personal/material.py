"""The material for a personal model: face crops and speech of one person, checked and split by time."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from ..evaluation.measures.speech_levels import silent_frames
from ..output_paths import writing
from ..prepare.prepare_options import PrepareOptions
from ..prepare.prepare_videos import prepare_videos
from ..prepare.set_folder import SetFolder
from ..prepare.set_layout import CLIP_FPS, CLIPS_NAME, INDEX_NAME, SETTINGS_NAME, IndexEntry, index_to_text
from ..prepare.source_videos import find_videos
from ..training.training_clips import Clip, find_clips
from .options import PersonalizeOptions
from .people_in_view import check_one_person
from .unusable_videos import UnusableVideosError

LEAST_SPEECH_S, LEAST_FACE_PX = 8.0, 96
# Held out: the last fifth, within these limits.
HELD_OUT_PART, LEAST_HELD_OUT_S, MOST_HELD_OUT_S = 0.2, 2.0, 10.0
# What is left of a clip for training has at least so many frames, or the whole clip is held out.
LEAST_FRAMES = 25


@dataclass(frozen=True)
class HeldOutPart:
    """Consecutive frames that are not trained on.

    Attributes:
        clip: with all its frames.
        start: number of the first held-out frame.
        end: number of the frame after the last one.
    """

    clip: Clip
    start: int
    end: int


@dataclass(frozen=True)
class Material:
    """Face crops and speech of one person.

    Attributes:
        folder: training set of what is trained on.
        held_out: what is not.
        speech_s: seconds of speech in both.
        seconds: duration of both.
        face_px: least of the clips' face sizes, in pixels of the videos.
    """

    folder: Path
    held_out: tuple[HeldOutPart, ...]
    speech_s: float
    seconds: float
    face_px: float

    @property
    def trained_s(self) -> float:
        """Duration of what is trained on."""
        return self.seconds - sum(part.end - part.start for part in self.held_out) / CLIP_FPS


def prepare_material(
    videos: Sequence[str | Path],
    folder: Path,
    size_px: int,
    options: PersonalizeOptions,
    on_progress: Callable[[int, int], None] | None = None,
) -> Material:
    """Prepares videos of one person, and holds out the last part of them.

    Args:
        videos: files, and folders, which are searched recursively.
        folder: for the sets; finished videos in it are not prepared again.
        size_px: height and width of the crops.
        options: of the personal model.
        on_progress: is called with the number of prepared videos and of all videos.

    Raises:
        UnusableVideosError: if a video shows several people, or there is not enough speech; the line says what is
            missing.
        MediaError: if a video is missing, or the folder cannot be written.
    """
    whole = folder / "set"
    if not options.chosen_face:
        done = SetFolder(whole)
        for video in find_videos(videos):
            if not done.is_done(video):
                check_one_person(video, options.detector)
    settings = PrepareOptions(
        size_px=size_px, min_face_px=LEAST_FACE_PX, max_seconds=60, face=options.face, detector=options.detector
    )
    prepare_videos(videos, whole, settings, on_progress)
    records = SetFolder(whole).records()
    clips = find_clips(whole)[0] if any(record["clips"] for record in records) else []
    speech_s = sum(_speech_frames(clip) for clip in clips) / CLIP_FPS
    if speech_s < LEAST_SPEECH_S:
        raise UnusableVideosError(_what_is_missing(records, speech_s))
    trained, held_out = split_by_time(clips)
    _write_training_set(whole, folder / "train", trained)
    return Material(
        folder / "train",
        held_out,
        speech_s,
        sum(clip.frames for clip in clips) / CLIP_FPS,
        min(clip["face_px"] for record in records for clip in record["clips"]),
    )


def split_by_time(clips: Sequence[Clip]) -> tuple[list[Clip], tuple[HeldOutPart, ...]]:
    """Returns the clips to train on, some of them shortened, and the held-out parts: the end of the last clips.

    A fifth is held out, but at least 2 s and at most 10 s.
    """
    total_s = sum(clip.frames for clip in clips) / CLIP_FPS
    wanted = round(min(max(HELD_OUT_PART * total_s, LEAST_HELD_OUT_S), MOST_HELD_OUT_S) * CLIP_FPS)
    trained, held_out = list(clips), []
    while wanted > 0 and trained:
        clip = trained.pop()
        start = clip.frames - wanted if clip.frames >= wanted + LEAST_FRAMES else 0
        if start == 0 and not trained:
            start = clip.frames - min(wanted, clip.frames // 2)
        held_out.insert(0, HeldOutPart(clip, start, clip.frames))
        if start:
            trained.append(replace(clip, frames=start))
            break
        wanted -= clip.frames
    return trained, tuple(held_out)


def _speech_frames(clip: Clip) -> int:
    """How many frames of a clip are no pause."""
    return clip.frames - int(silent_frames(clip.speech, Fraction(clip.fps), clip.frames).sum())


def _what_is_missing(records: list[dict], speech_s: float) -> str:
    dropped = [segment for record in records for segment in record["dropped"]]
    reasons = {segment["reason"]: segment["detail"] for segment in dropped}
    why = "; ".join(f"{reason}: {detail}" for reason, detail in reasons.items())
    return (
        f"{', '.join(record['source'] for record in records)}: {speech_s:.1f} s of speech with a face of"
        f" {LEAST_FACE_PX} pixels or more, expected at least {LEAST_SPEECH_S:g} s; add"
        f" {LEAST_SPEECH_S - speech_s:.1f} s{f' (left out: {why})' if why else ''}"
    )


def _write_training_set(whole: Path, folder: Path, clips: Sequence[Clip]) -> None:
    """Writes a training set of the first frames of some clips; the index says how many."""
    with writing(folder):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / CLIPS_NAME).mkdir(parents=True)
        for clip in clips:
            for file in (clip.video, clip.speech):
                shutil.copyfile(file, folder / CLIPS_NAME / file.name)
        shutil.copyfile(whole / SETTINGS_NAME, folder / SETTINGS_NAME)
        entries = (IndexEntry(clip.name, clip.frames, clip.identity) for clip in clips)
        (folder / INDEX_NAME).write_text(index_to_text(entries), encoding="utf-8")
