"""One clip of all systems side by side, the painted part magnified below."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from ...boxes import FaceBox
from ...errors import Diff2LipError, MediaError
from ...lipsync.options import SyncOptions
from ...media.frame import Frame
from ...media.reader import VideoInfo, probe_video, read_frames
from ..aligned_frames import follow_face
from ..clips import Clip
from .clip_writer import audio_track, write_clip

REFERENCE, SOURCE = "reference", "source"
MAX_WIDTH_PX, PANEL_WIDTHS_PX = 1280, (160, 360)
LABEL_PX, GAP_PX, FONT_PX = 28, 8, 16
# Room below the panels, where browsers lay their controls.
CONTROLS_PX = 64
MAX_PANEL_ASPECT = Fraction(3, 2)
MAX_FPS = 30
MAX_SHOWN_S = 10
# The magnified part follows the head, not the trembling of single boxes.
SMOOTHED_OVER_S = 1
PAPER, INK, EMPTY = (255, 255, 255), (34, 37, 43), (226, 228, 232)


@dataclass(frozen=True)
class _Column:
    """A video with the place of its panel.

    Attributes:
        name: as it is labelled.
        video: None if there is none that can be shown.
        parts: the part to magnify, one box a frame in pixels of the video; empty if no face is known.
    """

    name: str
    video: Path | None
    info: VideoInfo | None
    parts: list[FaceBox]


def show_side_by_side(clip: Clip, systems: Sequence[str], detector: str, path: Path) -> None:
    """Writes a video with the reference, the source video where that is another, and the output of every system.

    Only the first 10 s are shown. A system without a usable video gets an empty panel.

    Args:
        clip: the files.
        systems: names, in the order of the columns.
        detector: finds the face where no file tells its boxes.
        path: the video to write.

    Raises:
        MediaError: if no video of the clip can be read, or the result cannot be written.
    """
    videos = [*_originals(clip), *((system, clip.outputs.get(system)) for system in systems)]
    infos = [_info(video) for _, video in videos]
    leading = next((index for index, info in enumerate(infos) if info), None)
    if leading is None:
        raise MediaError(next(iter(clip.outputs.values())), "cannot be shown: no video of this clip can be read")
    info, video = infos[leading], videos[leading][1]
    assert info is not None and video is not None
    fps = min(info.fps, Fraction(MAX_FPS))
    parts = _magnified_parts(video, fps, detector)
    columns = [_column(name, path, found, info, parts) for (name, path), found in zip(videos, infos, strict=True)]
    frames = islice(_frames(columns, leading, fps, info), int(MAX_SHOWN_S * fps))
    write_clip(path, frames, fps, audio_track(_speech(clip, systems)))


def _originals(clip: Clip) -> list[tuple[str, Path | None]]:
    sources = [source for system in clip.outputs if (source := clip.source_of(system)) not in (None, clip.reference)]
    references = [] if clip.reference is None else [(REFERENCE, clip.reference)]
    return [*references, *((SOURCE, source) for source in sources[:1])]


def _info(video: Path | None) -> VideoInfo | None:
    try:
        return None if video is None else probe_video(video)
    except Diff2LipError:
        return None


def _speech(clip: Clip, systems: Sequence[str]) -> list[Path]:
    """Files that may have the speech that the mouths follow, the likeliest first."""
    outputs = (clip.outputs.get(system) for system in systems)
    return [path for path in (clip.audio, *outputs, clip.reference) if path is not None]


def _magnified_parts(video: Path, fps: Fraction, detector: str) -> list[FaceBox]:
    """Returns the lower half of the face in every frame, of one size; empty without a face."""
    boxes = follow_face(video, fps, SyncOptions(detector=detector))
    known = [index for index, box in enumerate(boxes) if box is not None]
    if not known:
        return []
    edges = np.array([(box.x1, box.y1, box.x2, box.y2) for box in boxes if box is not None], float)
    every = np.stack([np.interp(range(len(boxes)), known, edges[:, side]) for side in range(4)], axis=1)
    centers = _smoothed((every[:, :2] + every[:, 2:]) / 2, max(1, int(SMOOTHED_OVER_S * fps)))
    width, height = np.median(edges[:, 2:] - edges[:, :2], axis=0)
    return [FaceBox(x - width / 2, y, x + width / 2, y + height / 2) for x, y in centers.tolist()]


def _smoothed(points: np.ndarray, width: int) -> np.ndarray:
    """Moving mean of points (N, 2) over `width` frames, the ends repeated."""
    half = width // 2
    padded = np.pad(points, [(half, half), (0, 0)], mode="edge")
    return np.stack([padded[index : index + 2 * half + 1].mean(axis=0) for index in range(len(points))])


def _column(name: str, video: Path | None, found: VideoInfo | None, info: VideoInfo, parts: list[FaceBox]) -> _Column:
    if found is None:
        return _Column(name, None, None, [])
    has_same_shape = abs(found.width * info.height / (found.height * info.width) - 1) < 0.02
    scale = found.width / info.width, found.height / info.height
    return _Column(name, video, found, [part.scaled(*scale) for part in parts] if has_same_shape else [])


def _frames(columns: Sequence[_Column], leading: int, fps: Fraction, info: VideoInfo) -> Iterator[np.ndarray]:
    """Yields (H, W, 3) uint8 RGB pictures as long as the leading video lasts; others keep their last frame."""
    layout = _Layout([column.name for column in columns], info, columns[leading].parts)
    with ExitStack() as stack:
        videos = [stack.enter_context(closing(_decoded(column, fps))) for column in columns]
        last: list[Frame | None] = [None] * len(columns)
        index = 0
        while True:
            for number, video in enumerate(videos):
                frame = next(video, None)
                if frame is None and number == leading:
                    return
                last[number] = frame or last[number]
            yield layout.picture(last, [_at(column.parts, index) for column in columns])
            index += 1


def _decoded(column: _Column, fps: Fraction) -> Generator[Frame, None, None]:
    if column.video is not None:
        try:
            yield from read_frames(column.video, fps)
        except MediaError:
            return  # what could be decoded stays on the screen


def _at(parts: Sequence[FaceBox], index: int) -> FaceBox | None:
    return parts[min(index, len(parts) - 1)] if parts else None


class _Layout:
    """Places of labels and panels in the picture."""

    def __init__(self, names: Sequence[str], info: VideoInfo, parts: Sequence[FaceBox]):
        least, most = PANEL_WIDTHS_PX
        self._names = names
        self._width = min(most, max(least, MAX_WIDTH_PX // len(names))) // 2 * 2
        aspect = min(Fraction(info.height, info.width), MAX_PANEL_ASPECT)
        self._height = _even(self._width * aspect)
        # A tall video is made narrower.
        self._shown_width = min(self._width, round(self._height * info.width / info.height))
        self._part_height = _even(self._width * parts[0].height / parts[0].width) if parts else 0
        self.size = (
            len(names) * (self._width + GAP_PX) - GAP_PX,
            LABEL_PX + self._height + (GAP_PX + self._part_height if parts else 0) + CONTROLS_PX,
        )
        self._blank = self._labels()

    def _labels(self) -> PIL.Image.Image:
        picture = PIL.Image.new("RGB", self.size, PAPER)
        draw, font = PIL.ImageDraw.Draw(picture), PIL.ImageFont.load_default(FONT_PX)
        for number, name in enumerate(self._names):
            left = number * (self._width + GAP_PX)
            draw.text((left + 2, 4), _fitting(name, draw, font, self._width - 4), INK, font)
            for top, height in ((LABEL_PX, self._height), (LABEL_PX + self._height + GAP_PX, self._part_height)):
                if height:
                    draw.rectangle((left, top, left + self._width - 1, top + height - 1), EMPTY)
        return picture

    def picture(self, frames: Sequence[Frame | None], parts: Sequence[FaceBox | None]) -> np.ndarray:
        """Returns one picture (H, W, 3) uint8."""
        picture = self._blank.copy()
        for number, (frame, part) in enumerate(zip(frames, parts, strict=True)):
            if frame is None:
                continue
            left = number * (self._width + GAP_PX)
            image = PIL.Image.fromarray(frame.rgb())
            whole = image.resize((self._shown_width, self._height), PIL.Image.Resampling.BICUBIC)
            picture.paste(whole, (left + (self._width - self._shown_width) // 2, LABEL_PX))
            if part is not None:
                picture.paste(self._magnified(image, part), (left, LABEL_PX + self._height + GAP_PX))
        return np.asarray(picture)

    def _magnified(self, image: PIL.Image.Image, part: FaceBox) -> PIL.Image.Image:
        size = self._width, self._part_height
        scale = part.width / size[0], part.height / size[1]
        matrix = (scale[0], 0, part.x1, 0, scale[1], part.y1)
        # Beyond the frame it is black.
        return image.transform(size, PIL.Image.Transform.AFFINE, matrix, PIL.Image.Resampling.BICUBIC)


def _even(pixels: float | Fraction) -> int:
    return max(2, int(pixels) // 2 * 2)


def _fitting(name: str, draw, font, width: int) -> str:
    """Returns a name in one line, cut with three dots where it is too long."""
    line = " ".join(name.split())
    while draw.textlength(line, font) > width and len(line) > 1:
        line = line[: -2 if not line.endswith("...") else -4] + "..."
    return line
