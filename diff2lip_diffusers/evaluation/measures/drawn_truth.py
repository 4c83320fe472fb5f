"""The true mouths of drawn people, and the opening of their mouths read off the pixels.

A folder of truth has, for each clip, `NAME.json` with the person's seed and `NAME.csv` with the true mouth of every
frame, as `diff2lip make-corpus` writes them, and `NAME.original.csv` if the source video had another speech. If it has
no `NAME.json`, it is taken for the corpus that the clips were made from: the person and the original speech are then
those of the reference video, and the target speech is that of the audio file, by their names.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ...corpus.corpus_folder import CorpusClip
from ...corpus.head_view import face_box
from ...corpus.identity import Identity, draw_identity
from ...corpus.lifelike.frame import mouth_is_covered
from ...corpus.lifelike.framing import draw_poses
from ...corpus.motion import Pose
from ...corpus.mouth_table import read_mouth_table
from ...corpus.visemes import PARAMETERS
from ...errors import MediaError
from ..aligned_frames import AlignedFrame, NotMeasurable, cut
from ..mouth_opening import mouth_opening, opening_zones
from .group import ClipView

OPENING = PARAMETERS.index("opening")
CROP_PX = 64


@dataclass(frozen=True)
class DrawnTruth:
    """What the renderer knows of a clip.

    Attributes:
        identity: the person.
        poses: of the head, one per frame.
        target: (N,) true opening while saying the target speech, 0 to 1; None if no table has it.
        original: (N,) true opening in the source video; None if that speech is the target speech.
    """

    identity: Identity
    poses: list[Pose]
    target: np.ndarray | None
    original: np.ndarray | None


def check_truth(folder: str | Path) -> Path:
    """Returns a folder of truth.

    Raises:
        MediaError: if it is missing or has no clip.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MediaError(folder, "no such folder; --truth takes a corpus that diff2lip make-corpus made")
    if next(folder.glob("**/*.csv"), None) is None:
        raise MediaError(folder, "has no table of true mouths (NAME.csv); make a corpus with diff2lip make-corpus")
    return folder


def read_truth(folder: Path, view: ClipView) -> DrawnTruth:
    """Returns the truth of a clip.

    Raises:
        NotMeasurable: if the folder does not know the clip.
        MediaError: if its files are damaged.
    """
    fps = float(view.fps)
    clip = CorpusClip(folder, view.clip.name, fps)
    reference = view.clip.reference
    if clip.description.is_file():
        target = _opening(clip.mouth_table)
        original = _opening(folder / f"{clip.name}.original.csv")
        num_frames = 0 if target is None else len(target)
    elif reference is not None and (source := CorpusClip(folder, reference.stem, fps)).description.is_file():
        clip, original = source, _opening(source.mouth_table)
        num_frames = 0 if original is None else len(original)
        target = _opening(folder / f"{view.speech.stem}.csv")
        if view.speech.stem == reference.stem:
            original = None
    else:
        raise NotMeasurable(f"{folder} has no {view.clip.name}.json, so the true mouth is not known")
    described = clip.read_description()
    identity = draw_identity(described["seed"], described.get("look", "plain"))
    return DrawnTruth(identity, draw_poses(identity, np.arange(num_frames) / fps), target, original)


def _opening(table: Path) -> np.ndarray | None:
    return read_mouth_table(table)[:, OPENING].astype(np.float64) if table.is_file() else None


class DrawnMouth:
    """Reads the opening of a drawn mouth off the pixels, knowing the person and the pose.

    Args:
        view: the output that is judged.
        folder: of truth.
    """

    reads_colors = True

    def __init__(self, view: ClipView, folder: Path):
        self._truth = read_truth(folder, view)
        self._zone: tuple[int, torch.Tensor] | None = None

    def opening(self, pixels: np.ndarray, frame: AlignedFrame) -> float | None:
        """Returns the share of its zone that the inside of the mouth fills, 0 to 1.

        None after the last known pose, and while something before the face hides the mouth.
        """
        height, width = pixels.shape[:2]
        if height != width:
            raise NotMeasurable(f"is {width}x{height} pixels, but drawn people are square; check --truth")
        if frame.index >= len(self._truth.poses):
            return None
        identity, pose = self._truth.identity, self._truth.poses[frame.index]
        if mouth_is_covered(identity, pose):
            return None
        if self._zone is None or self._zone[0] != frame.index:
            self._zone = frame.index, opening_zones(identity, [pose], CROP_PX)
        part = cut(pixels, face_box(identity, pose, width).clipped(width, width).rounded())
        crop = torch.from_numpy(part.copy()).permute(2, 0, 1)[None].float() / 255
        crop = F.interpolate(crop, (CROP_PX, CROP_PX), mode="bilinear", align_corners=False)
        return float(mouth_opening(crop, self._zone[1], identity, [pose])[0])

    def true_curve(self) -> np.ndarray | None:
        """Returns the true opening of the target speech (N,), at rest after its end."""
        return self._of_all_frames(self._truth.target)

    def original_curve(self) -> np.ndarray | None:
        """Returns the true opening in the source video (N,), if it had another speech."""
        return self._of_all_frames(self._truth.original)

    def _of_all_frames(self, curve: np.ndarray | None) -> np.ndarray | None:
        if curve is None:
            return None
        return np.concatenate([curve, np.zeros(max(0, len(self._truth.poses) - len(curve)))])
