"""A long clip split into parts that several processes paint, and then joined.

One process tracks the face through the whole clip, because the face to follow depends on earlier frames. Part by part,
it writes the boxes into a shared folder, where any process takes the parts that can be painted. A step is done when
its file is there.
"""

import hashlib
import json
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, astuple, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ..boxes import FaceBox
from ..detail.exemplars import Exemplar
from ..errors import MediaError
from ..lipsync.cover_masks import masks_of
from ..lipsync.exemplar_windows import (
    STRETCH_FRAMES,
    Stretch,
    cut_stretches,
    exemplar_maker,
    lends_detail,
    spacing_of,
    together_by_track,
    window_of,
)
from ..lipsync.face_boxes import BoxedFrame
from ..lipsync.frame_tasks import FrameTask, PaintedTask, TaskMaker
from ..lipsync.frame_writing import open_writer, write_frames
from ..lipsync.heard_audio import heard_audio
from ..lipsync.job import (
    SyncResult,
    boxed_frames,
    no_face_painted,
    shown_frames,
    video_settings,
    with_as_many_masks,
)
from ..lipsync.options import SyncOptions
from ..lipsync.plan import JobPlan, plan_job
from ..lipsync.reference_faces import ReferenceFaces, reference_faces
from ..lipsync.sealing import mark_of, seal_of
from ..lipsync.source_video import SourceVideo
from ..lipsync.spoken_segments import checked_faces
from ..lipsync.stage_timer import StageTimer
from ..media.length import read_numbered
from ..media.video_encoder import VideoEncoder
from ..media.video_writer import join_parts
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .heartbeat import accessing, read_if_there
from .pair_records import STEP_MARK

# Each part begins with a key frame, which takes space, and a few frames before it are decoded in vain. A part is a
# stretch, so that it needs nothing from the other parts but exemplars.
PART_FRAMES = STRETCH_FRAMES
REFERENCES_NAME = "references.npz"
# What the files of the steps hold.
STEP_KEYS = {
    "boxes": {"numbers": list, "tracks": list},
    "part": {"num_frames": int, "num_faceless": int, "num_painted": int, "suffix": str, "stage_s": dict},
    "clip": {"num_frames": int, "started_s": float, "stage_s": dict},
}


@dataclass(frozen=True)
class PartResult:
    """What a painted part holds.

    Args:
        num_frames: frames written.
        num_faceless: frames in which the face was not seen.
        num_painted: frames with a painted face.
        suffix: of its file.
        stage_s: seconds of work by stage.
    """

    num_frames: int
    num_faceless: int
    num_painted: int
    suffix: str
    stage_s: dict[str, float]


class SplitClip:
    """A pair whose frames several processes paint.

    Args:
        pipe: the pipeline that paints.
        video: the face video.
        audio: file with the audio to be heard, as for a `SyncJob`.
        options: of the pair.
        output: name of the output.
        settings: what the output depends on; runs with other settings share nothing.
        state: the folder that the processes share.
    """

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        video: Path,
        audio: Path | None,
        options: SyncOptions,
        output: str,
        settings: dict,
        state: Path,
    ):
        self.pipe, self.video, self.audio, self.options, self.output = pipe, video, audio, options, output
        name = hashlib.sha256(json.dumps([output, settings], sort_keys=True).encode()).hexdigest()[:32]
        self.folder = state / "split" / name
        # For the thread that decodes parts; the thread that tracks the face opens its own.
        self.source = SourceVideo(video, max_pixels=options.max_pixels)

    @cached_property
    def plan(self) -> JobPlan:
        """Speech and length of the whole clip."""
        return plan_job(self.pipe, self.source, self.audio or self.video, self.options)

    @cached_property
    def lends_detail(self) -> bool:
        """Whether frames of the clip lend detail to each other."""
        return lends_detail(self.source, self.options)

    @property
    def num_frames(self) -> int | None:
        """How many frames the output has; None until the face has been tracked to the end."""
        found = self._read_json("clip.json")
        return None if found is None else found["num_frames"]

    def open_parts(self) -> list[int]:
        """The parts whose boxes and exemplars are known, but that are not painted."""
        names = {path.name for path in self.folder.glob("*.json")} if self.folder.is_dir() else set()
        known = {int(name[6:-5]) for name in names if name.startswith("boxes-") and name[6:-5].isdecimal()}
        count = len(known) if "clip.json" in names else None
        open_ones = (part for part in sorted(known) if f"part-{part:06d}.json" not in names)
        return [part for part in open_ones if not self.lends_detail or known.issuperset(self._window(part, count))]

    def is_complete(self) -> bool:
        """Whether all parts are painted."""
        num_frames = self.num_frames
        return num_frames is not None and not self.open_parts()

    def key_of(self, step: str | int) -> str:
        """The key under which a step is leased."""
        return f"{self.output}{STEP_MARK}{step}"

    def find_boxes(self, started_s: float, stopped: threading.Event) -> None:
        """Tracks the face through the whole clip, and writes the boxes of each part.

        Args:
            started_s: when work on the clip began, in seconds since 1970.
            stopped: ends the search early once it is set.

        Raises:
            FaceNotFoundError: where the options ask for a face in a certain frame and it has none.
            MediaError: if the video cannot be read, or the folder cannot be written.
        """
        timer = StageTimer()
        with timer.stage("speech"):
            plan = self.plan
        source = SourceVideo(self.video, max_pixels=self.options.max_pixels)
        boxed = boxed_frames(self.pipe, source, plan, self.options, timer, stopped.is_set)
        references = reference_faces(self.pipe, boxed, self.options)
        if references is not None:
            self._write_references(references)
        masks = masks_of(source, plan.fps, self.options)
        shown = with_as_many_masks(shown_frames(boxed, self.options), masks, plan, self.options)
        entries = checked_faces(shown, plan.segments)
        num_frames = 0
        make = exemplar_maker(self.pipe) if self.lends_detail else None
        with closing(cut_stretches(entries, spacing_of(plan), make, timer)) as stretches:
            for part, stretch in enumerate(stretches):
                if stopped.is_set():
                    return
                self._write_stretch(part, stretch)
                num_frames += len(stretch.numbers)
        clip = {"num_frames": num_frames, "started_s": started_s, "stage_s": dict(timer.seconds)}
        self._write_json("clip.json", clip)

    def references(self) -> ReferenceFaces | None:
        """The faces that show the identity; None where each frame shows its own."""
        path = self.folder / REFERENCES_NAME
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as found:
            crops = [found.get(f"crop_{track}") for track in range(int(found["num_tracks"]))]
            return ReferenceFaces(crops, bool(found["everywhere"]))

    def boxes_of(self, part: int) -> tuple[list[int], list[tuple[FaceBox | None, ...]]]:
        """The numbers of a part's frames in the source, and the boxes in them, by track.

        Raises:
            MediaError: if they are not there.
        """
        found = self._read_part_json(_boxes_name(part))
        tracks = ([None if box is None else FaceBox(*box) for box in track] for track in found["tracks"])
        return found["numbers"], list(zip(*tracks, strict=True))

    def exemplars_of(self, part: int) -> list[list[Exemplar]]:
        """The exemplars for the mouths of a part, by track.

        Raises:
            MediaError: if they are not there.
        """
        if not self.lends_detail:
            return []
        num_frames = self.num_frames
        count = None if num_frames is None else -(-num_frames // PART_FRAMES)
        return together_by_track(self._exemplars_in(index) for index in self._window(part, count))

    def encoder(self, target: Path) -> VideoEncoder:
        """An encoder for the frames of the clip, or of a part of it; `target` decides on formats."""
        return VideoEncoder(target, **video_settings(self.source, self.plan, self.options))

    def keep_part(self, part: int, made: Path, result: PartResult) -> None:
        """Moves the file of a painted part into the clip's folder, and marks the part as done.

        Raises:
            MediaError: if the folder cannot be written.
        """
        with accessing(self.folder):
            made.replace(self._part_path(part, result))
        self._write_json(_part_name(part), asdict(result))

    def join(self, target: Path) -> tuple[SyncResult, float]:
        """Writes the output from its parts; returns the result, and when work on it began, in seconds since 1970.

        Raises:
            FaceNotFoundError: if nothing was painted in any part.
            MediaError: if it cannot be written.
        """
        clip, plan = self._read_part_json("clip.json"), self.plan
        parts = [
            PartResult(**self._read_part_json(_part_name(part)))
            for part in range(-(-clip["num_frames"] // PART_FRAMES))
        ]
        if not sum(part.num_painted for part in parts):
            raise no_face_painted(self.options)
        files = [(self._part_path(index, part), part.num_frames) for index, part in enumerate(parts)]
        audio = heard_audio(self.source, self.audio, plan, self.options)
        seal = seal_of(self.pipe, self.source, self.audio, target, self.options)
        join_parts(files, target, target.parent, self.encoder(target), audio, mark_of(self.options), seal)
        result = SyncResult(
            target,
            clip["num_frames"],
            sum(part.num_faceless for part in parts),
            plan.fps,
            float(clip["num_frames"] / plan.fps),
            float(plan.speech_s),
            _added([clip["stage_s"], *(part.stage_s for part in parts)]),
        )
        return result, clip["started_s"]

    def drop(self) -> None:
        """Removes the parts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part_path(self, part: int, result: PartResult) -> Path:
        return self.folder / f"part-{part:06d}{result.suffix}"

    def _read_part_json(self, name: str) -> dict[str, Any]:
        found = self._read_json(name)
        if found is None:
            raise MediaError(self.folder / name, "is gone; start the batch again")
        return found

    def _window(self, part: int, count: int | None) -> range:
        return window_of(part, spacing_of(self.plan), count)

    def _write_stretch(self, part: int, stretch: Stretch) -> None:
        """Writes what a part needs; its boxes come last, and say that all is there."""
        if self.lends_detail:
            arrays = {"num_tracks": np.array(len(stretch.exemplars))}
            for track, exemplars in enumerate(stretch.exemplars):
                arrays[f"numbers_{track}"] = np.array([exemplar.number for exemplar in exemplars], np.int64)
                for at, exemplar in enumerate(exemplars):
                    arrays |= {f"detailed_{track}_{at}": exemplar.detailed, f"small_{track}_{at}": exemplar.small}
            self._put(_exemplars_name(part), lambda path: _save_arrays(path, arrays))
        tracks = zip(*stretch.boxes, strict=True)
        boxes = [[None if box is None else astuple(box) for box in track] for track in tracks]
        self._write_json(_boxes_name(part), {"numbers": stretch.numbers, "tracks": boxes})

    def _exemplars_in(self, part: int) -> list[list[Exemplar]]:
        """The exemplars from the frames of one part, by track."""
        path = self.folder / _exemplars_name(part)
        try:
            with np.load(path, allow_pickle=False) as found:
                return [
                    [
                        Exemplar(number, found[f"detailed_{track}_{at}"], found[f"small_{track}_{at}"])
                        for at, number in enumerate(found[f"numbers_{track}"].tolist())
                    ]
                    for track in range(int(found["num_tracks"]))
                ]
        except FileNotFoundError as error:
            raise MediaError(path, "is gone; start the batch again") from error

    def _read_json(self, name: str) -> dict[str, Any] | None:
        """The content of a file; None if it is not there. A damaged one is removed, with all steps of the clip."""
        content = read_if_there(self.folder / name)
        if content is None:
            return None
        keys = STEP_KEYS[name.partition("-")[0].removesuffix(".json")]
        try:
            value = json.loads(content[0])
            if all(isinstance(value[key], kind) for key, kind in keys.items()):
                return value
        except (ValueError, TypeError, KeyError, RecursionError):
            pass
        self.drop()
        raise MediaError(self.folder / name, "was damaged; the steps of this clip are removed and made again")

    def _write_references(self, references: ReferenceFaces) -> None:
        arrays = {"num_tracks": np.array(len(references.crops)), "everywhere": np.array(references.everywhere)}
        arrays |= {f"crop_{track}": crop for track, crop in enumerate(references.crops) if crop is not None}
        self._put(REFERENCES_NAME, lambda path: _save_arrays(path, arrays))

    def _write_json(self, name: str, value: dict) -> None:
        self._put(name, lambda path: path.write_text(json.dumps(value), encoding="utf-8"))

    def _put(self, name: str, write: Callable[[Path], object]) -> None:
        """Writes a file that appears whole or not at all, even if several processes write it."""
        with accessing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self.folder / f".{secrets.token_hex(8)}.{name}"
            write(part)
            part.replace(self.folder / name)


class PartJob:
    """A [`Job`] that paints one part of a clip into a file of its own.

    Args:
        clip: the clip.
        part: number of the part, from 0.
        output: the file to write, in an existing folder; its suffix is changed to what the encoder needs.

    Attributes:
        timer: seconds by stage so far.
        error: what ended the job too early. Only `sync_jobs` sets it.
    """

    def __init__(self, clip: SplitClip, part: int, output: Path):
        self.clip, self.part, self.output, self.options = clip, part, output, clip.options
        self.timer = StageTimer()
        self.error: Exception | None = None

    def tasks(self) -> Generator[FrameTask, None, None]:
        """Yields the frames of the part, in order.

        Raises:
            MediaError: if a file cannot be read.
        """
        clip, plan = self.clip, self.clip.plan
        numbers, boxes = clip.boxes_of(self.part)
        frames = self.timer.each("decode", read_numbered(partial(clip.source.frames, plan.fps), numbers))
        exemplars, masks = clip.exemplars_of(self.part), masks_of(clip.source, plan.fps, self.options)
        boxed = (BoxedFrame(*entry, exemplars) for entry in zip(numbers, frames, boxes, strict=True))
        yield from TaskMaker(self, clip.pipe, plan, clip.references(), masks).tasks(boxed, self.part * PART_FRAMES)

    def write(self, painted: Iterator[PaintedTask]) -> PartResult:
        """Writes the part, hands it over to its clip, and returns what it holds.

        Raises:
            MediaError: if it cannot be written.
        """
        clip = self.clip
        encoder = clip.encoder(Path(clip.output))
        made = self.output.with_suffix(encoder.suffix)
        encoder.open(made)
        with open_writer(encoder, self.timer):
            counts = write_frames(painted, encoder, self.options, clip.pipe, self.timer)
        result = PartResult(**asdict(counts), suffix=made.suffix, stage_s=dict(self.timer.seconds))
        clip.keep_part(self.part, made, result)
        return result


def _boxes_name(part: int) -> str:
    return f"boxes-{part:06d}.json"


def _exemplars_name(part: int) -> str:
    return f"exemplars-{part:06d}.npz"


def _save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:  # to a path without its suffix, np.savez would add one
        np.savez(file, allow_pickle=False, **arrays)


def _part_name(part: int) -> str:
    return f"part-{part:06d}.json"


def _added(stages: Iterable[dict[str, float]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for seconds in stages:
        total.update(seconds)
    return dict(total)
