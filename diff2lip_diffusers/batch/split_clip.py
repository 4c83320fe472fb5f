"""A long clip split into parts that several processes paint, and then joined.

One process tracks the face through the whole clip, because the face to follow depends on earlier frames. Part by part,
it writes the boxes into a shared folder, where any process takes the parts that can be painted. A step is done when
its file is there.
"""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from ..detail.exemplars import Exemplar
from ..lipsync.cover_masks import masks_of
from ..lipsync.exemplar_windows import (
    STRETCH_FRAMES,
    cut_stretches,
    exemplar_maker,
    lends_detail,
    spacing_of,
    together_by_track,
    window_of,
)
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
from ..lipsync.reference_faces import reference_faces
from ..lipsync.sealing import mark_of, seal_of
from ..lipsync.source_video import SourceVideo
from ..lipsync.spoken_segments import checked_faces
from ..lipsync.stage_timer import StageTimer
from ..media.video_encoder import VideoEncoder
from ..media.video_writer import join_parts
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .clip_steps import ClipSteps, part_name
from .heartbeat import accessing
from .pair_records import STEP_MARK

# Each part begins with a key frame, which takes space, and a few frames before it are decoded in vain. A part is a
# stretch, so that it needs nothing from the other parts but exemplars.
PART_FRAMES = STRETCH_FRAMES


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
        self.steps = ClipSteps(state / "split" / name)
        # For the thread that decodes parts; the thread that tracks the face opens its own.
        self.source = SourceVideo(video, max_pixels=options.max_pixels, hwaccel=options.hwaccel)

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
        found = self.steps.read("clip.json")
        return None if found is None else found["num_frames"]

    def open_parts(self) -> list[int]:
        """The parts whose boxes and exemplars are known, but that are not painted."""
        names = self.steps.names()
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
        source = SourceVideo(self.video, 0, self.options.max_pixels, self.options.hwaccel)
        boxed = boxed_frames(self.pipe, source, plan, self.options, timer, stopped.is_set)
        references = reference_faces(self.pipe, boxed, self.options)
        if references is not None:
            self.steps.write_references(references)
        masks = masks_of(source, plan.fps, self.options)
        shown = with_as_many_masks(shown_frames(boxed, self.options), masks, plan, self.options)
        entries = checked_faces(shown, plan.segments)
        num_frames = 0
        make = exemplar_maker(self.pipe) if self.lends_detail else None
        with closing(cut_stretches(entries, spacing_of(plan), make, timer)) as stretches:
            for part, stretch in enumerate(stretches):
                if stopped.is_set():
                    return
                self.steps.write_stretch(part, stretch, self.lends_detail)
                num_frames += len(stretch.numbers)
        clip = {"num_frames": num_frames, "started_s": started_s, "stage_s": dict(timer.seconds)}
        self.steps.write("clip.json", clip)

    def exemplars_of(self, part: int) -> list[list[Exemplar]]:
        """The exemplars for the mouths of a part, by track.

        Raises:
            MediaError: if they are not there.
        """
        if not self.lends_detail:
            return []
        num_frames = self.num_frames
        count = None if num_frames is None else -(-num_frames // PART_FRAMES)
        return together_by_track(self.steps.exemplars_in(index) for index in self._window(part, count))

    def encoder(self, target: Path) -> VideoEncoder:
        """An encoder for the frames of the clip, or of a part of it; `target` decides on formats."""
        return VideoEncoder(target, **video_settings(self.source, self.plan, self.options))

    def keep_part(self, part: int, made: Path, result: PartResult) -> None:
        """Moves the file of a painted part into the clip's folder, and marks the part as done.

        Raises:
            MediaError: if the folder cannot be written.
        """
        with accessing(self.steps.folder):
            made.replace(self._part_path(part, result))
        self.steps.write(part_name(part), asdict(result))

    def join(self, target: Path) -> tuple[SyncResult, float]:
        """Writes the output from its parts; returns the result, and when work on it began, in seconds since 1970.

        Raises:
            FaceNotFoundError: if nothing was painted in any part.
            MediaError: if it cannot be written.
        """
        clip, plan = self.steps.read_needed("clip.json"), self.plan
        parts = [
            PartResult(**self.steps.read_needed(part_name(part)))
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
        self.steps.drop()

    def _part_path(self, part: int, result: PartResult) -> Path:
        return self.steps.folder / f"part-{part:06d}{result.suffix}"

    def first_frame(self, part: int) -> int:
        """The number of a part's first frame in the output."""
        return part * PART_FRAMES

    def _window(self, part: int, count: int | None) -> range:
        return window_of(part, spacing_of(self.plan), count)


def _added(stages: Iterable[dict[str, float]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for seconds in stages:
        total.update(seconds)
    return dict(total)
