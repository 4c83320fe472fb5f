"""One long clip in parts that processes paint apart: which parts there are, and how they become one again.

One process finds the face all along the clip, because whom to follow depends on what was before. Stretch by stretch it
leaves the boxes in a folder, where others take up what can be painted. A step is done when its file is there.
"""

import hashlib
import json
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple
from functools import cached_property, partial
from itertools import islice
from pathlib import Path

import numpy as np

from ..boxes import FaceBox
from ..errors import FaceNotFoundError
from ..lipsync.job import (
    FrameTask,
    SyncJob,
    SyncResult,
    audio_settings,
    boxed_frames,
    mark_of,
    random_reference,
    repeat_first,
    video_settings,
)
from ..lipsync.options import SyncOptions
from ..lipsync.plan import JobPlan, plan_job
from ..lipsync.source_video import SourceVideo
from ..lipsync.stage_timer import StageTimer
from ..media.audio_track import AudioTrack
from ..media.length import read_numbered
from ..media.video_encoder import VideoEncoder
from ..media.video_writer import join_parts
from ..pipeline_diff2lip import Diff2LipPipeline
from .heartbeat import accessing, read_if_there

# A part begins with a picture that stands for itself, which takes room; and to get there a few are decoded in vain.
PART_FRAMES = 128
STEP_MARK = "\n"


def output_of(key: str) -> str:
    """The output to which what is claimed by a key belongs, be it one of its steps."""
    return key.partition(STEP_MARK)[0]


class SplitClip:
    """A pair whose frames several processes paint.

    Args:
        pipe: what paints.
        video: the face video.
        audio: file with the speech.
        options: how.
        output: the output's name.
        settings: what the output depends on; with others, nothing is shared.
        state: the folder that the processes share.
    """

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        video: Path,
        audio: Path,
        options: SyncOptions,
        output: str,
        settings: dict,
        state: Path,
    ):
        self.pipe, self.video, self.audio, self.options, self.output = pipe, video, audio, options, output
        name = hashlib.sha256(json.dumps([output, settings], sort_keys=True).encode()).hexdigest()[:32]
        self.folder = state / "split" / name
        # One for the thread that paints; finding the face has its own.
        self.source = SourceVideo(video)

    @cached_property
    def plan(self) -> JobPlan:
        """How long it is to be."""
        return plan_job(self.pipe, self.source, self.audio, self.options)

    @property
    def num_frames(self) -> int | None:
        """How many frames the output has; None as long as the face has not been followed to the end."""
        found = _read_json(self.folder / "clip.json")
        return None if found is None else found["num_frames"]

    def open_parts(self) -> list[int]:
        """The parts that are to be painted, as far as their boxes are known."""
        names = {path.name for path in self.folder.glob("*.json")} if self.folder.is_dir() else set()
        known = sorted(int(name[6:-5]) for name in names if name.startswith("boxes-"))
        return [part for part in known if f"part-{part:06d}.json" not in names]

    def is_complete(self) -> bool:
        """Whether all parts are painted."""
        num_frames = self.num_frames
        return num_frames is not None and not self.open_parts()

    def key_of(self, step: str | int) -> str:
        """Under which a step is claimed."""
        return f"{self.output}{STEP_MARK}{step}"

    def find_boxes(self, started_s: float, stopped: threading.Event) -> None:
        """Follows the face all along the clip, and leaves the boxes of each part.

        Args:
            started_s: when work on the clip began, in seconds since 1970.
            stopped: ends it early once it is set.

        Raises:
            FaceNotFoundError: where the options ask for a face in a certain frame and it has none.
            MediaError: if the video cannot be read, or the folder not written.
        """
        timer = StageTimer()
        with timer.stage("speech"):
            plan = self.plan
        boxed = boxed_frames(self.pipe, SourceVideo(self.video), plan, self.options, timer)
        if self.options.mode == "random":
            self._write_reference(random_reference(self.pipe, boxed, self.options))
        entries = iter(repeat_first(boxed) if self.options.mode == "reconstruction" else boxed)
        num_frames = part = 0
        while chunk := [(number, box) for number, _, box in islice(entries, PART_FRAMES)]:
            if stopped.is_set():
                return
            boxes = [None if box is None else astuple(box) for _, box in chunk]
            self._write_json(f"boxes-{part:06d}.json", {"numbers": [number for number, _ in chunk], "boxes": boxes})
            num_frames, part = num_frames + len(chunk), part + 1
        clip = {"num_frames": num_frames, "started_s": started_s, "stage_s": dict(timer.seconds)}
        self._write_json("clip.json", clip)

    def reference(self) -> np.ndarray | None:
        """The crop that shows the identity in all frames; None where each frame shows its own."""
        path = self.folder / "reference.npy"
        return np.load(path, allow_pickle=False) if path.exists() else None

    def boxes_of(self, part: int) -> tuple[list[int], list[FaceBox | None]]:
        """The numbers of a part's pictures in the video, and the boxes in them."""
        found = _read_json(self.folder / f"boxes-{part:06d}.json")
        return found["numbers"], [None if box is None else FaceBox(*box) for box in found["boxes"]]

    def keep_part(self, part: int, made: Path, counts: dict) -> None:
        """Takes in a painted part, whose file this moves."""
        with accessing(self.folder):
            made.replace(self._part_path(part, made.suffix))
        self._write_json(f"part-{part:06d}.json", {**counts, "suffix": made.suffix})

    def join(self, target: Path) -> tuple[SyncResult, float]:
        """Writes the output from its parts; returns what became of it, and when work on it began.

        Raises:
            FaceNotFoundError: if nothing was painted in any part.
            MediaError: if it cannot be written.
        """
        clip = _read_json(self.folder / "clip.json")
        parts = [
            _read_json(self.folder / f"part-{part:06d}.json") for part in range(-(-clip["num_frames"] // PART_FRAMES))
        ]
        if not sum(part["num_painted"] for part in parts):
            raise FaceNotFoundError(wanted=self.options.face if self.options.detects else "largest")
        files = [(self._part_path(index, part["suffix"]), part["num_frames"]) for index, part in enumerate(parts)]
        pictures = VideoEncoder(target, **video_settings(self.source, self.plan, self.options))
        sound = AudioTrack(self.audio, *audio_settings(self.options).values())
        join_parts(files, target, target.parent, pictures, sound, mark_of(self.options))
        plan = self.plan
        result = SyncResult(
            target,
            clip["num_frames"],
            sum(part["num_faceless"] for part in parts),
            plan.fps,
            float(clip["num_frames"] / plan.fps),
            float(plan.speech.duration_s),
            _added([clip["stage_s"], *(part["stage_s"] for part in parts)]),
        )
        return result, clip["started_s"]

    def drop(self) -> None:
        """Removes the parts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part_path(self, part: int, suffix: str) -> Path:
        return self.folder / f"part-{part:06d}{suffix}"

    def _write_reference(self, crop: np.ndarray) -> None:
        self._put("reference.npy", lambda path: np.save(path, crop, allow_pickle=False))

    def _write_json(self, name: str, value: dict) -> None:
        self._put(name, lambda path: path.write_text(json.dumps(value), encoding="utf-8"))

    def _put(self, name: str, write: Callable[[Path], object]) -> None:
        """Writes a file that is there whole or not at all, whoever else writes it."""
        with accessing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self.folder / f".{secrets.token_hex(8)}.{name}"
            write(part)
            part.replace(self.folder / name)


class PartJob(SyncJob):
    """A part of a clip to be painted into a file of its own.

    Args:
        clip: whose part it is.
        part: its number, from 0.
        made: the file to write, in a folder that is there; its suffix is changed to what fits.
    """

    def __init__(self, clip: SplitClip, part: int, made: Path):
        super().__init__(clip.pipe, clip.source, clip.audio, made, clip.options)
        self.clip, self.part = clip, part

    def tasks(self) -> Iterator[FrameTask]:
        """The frames of the part, in order.

        Raises:
            MediaError: if a file cannot be read or written.
        """
        self.plan = self.clip.plan
        numbers, boxes = self.clip.boxes_of(self.part)
        pictures = read_numbered(partial(self.source.pictures, self.plan.fps), numbers)
        boxed = (entry for entry in zip(numbers, self.timer.each("decode", pictures), boxes, strict=True))
        writer = VideoEncoder(Path(self.clip.output), **video_settings(self.source, self.plan, self.options))
        self.output = Path(self.output).with_suffix(writer.suffix)
        writer.open(self.output)
        self._writer = writer
        yield from self._tasks_of(boxed, self.clip.reference(), self.part * PART_FRAMES)

    def close(self) -> None:
        """Hands the part over to its clip.

        Raises:
            MediaError: if it cannot be written.
        """
        self._close_writer()
        counts = {"num_frames": self.num_frames, "num_faceless": self.num_faceless, "num_painted": self.num_painted}
        self.clip.keep_part(self.part, self.output, {**counts, "stage_s": dict(self.timer.seconds)})


def _read_json(path: Path) -> dict | None:
    found = read_if_there(path)
    return None if found is None else json.loads(found[0])


def _added(stages: Iterable[dict[str, float]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for seconds in stages:
        total.update(seconds)
    return dict(total)
