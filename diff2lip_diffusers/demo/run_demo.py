"""Runs the demo: lip-syncs the clip in the package and measures how well the mouth follows the speech."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..corpus.head import render_frame
from ..evaluation.agreement import Agreement, agreement
from ..evaluation.mouth_opening import mouth_opening, opening_zones
from ..faces.detections_file import read_detections
from ..hub import load_pipeline
from ..lipsync.run import SyncResult, sync_video
from ..media.reader import read_audio, read_rgb
from ..output_paths import check_output_path, hidden_folder_beside, writing
from .contact_sheet import contact_sheet
from .demo_clip import FPS, SIZE_PX, DemoClip, demo_model_folder, load_demo_clip, write_demo_clip

BATCH_SIZE = 16
CROP_PX, COLUMNS, COLUMN_PX = 64, 7, 160


@dataclass(frozen=True)
class DemoResult:
    """Files and measurements of the demo.

    Attributes:
        sync: result of the lip-sync job.
        sheet: the contact sheet.
        text: of the target speech.
        target_speech: how the generated mouth follows the target speech.
        original_speech: how it follows the speech of the source video: the control.
    """

    sync: SyncResult
    sheet: Path
    text: str
    target_speech: Agreement
    original_speech: Agreement


def run_demo(output: str | Path, device: str | None = None, text: str | None = None) -> DemoResult:
    """Lip-syncs the clip in the package and writes a contact sheet beside the result.

    Args:
        output: path of the video; the contact sheet has the same name with `.png`.
        device: as in [`load_pipeline`].
        text: what the drawn person shall say, in English; needs espeak-ng. By default the sentence in the package.

    Raises:
        ValueError: if `text` has no words.
        EspeakError: if there is a text, but espeak-ng is not installed.
        MediaError: if the video or the sheet cannot be written.
    """
    check_output_path(output)
    if text is None:
        return _lip_sync(load_demo_clip(), output, device)
    with tempfile.TemporaryDirectory(prefix="diff2lip-demo-") as folder:
        write_demo_clip(Path(folder), text)
        return _lip_sync(load_demo_clip(Path(folder)), output, device)


def _lip_sync(clip: DemoClip, output: str | Path, device: str | None) -> DemoResult:
    sheet = Path(output).with_suffix(".png")
    pipe = load_pipeline(demo_model_folder(), device, dtype="fp32")
    pipe.set_progress_bar_config(disable=True)
    sync = sync_video(
        pipe,
        clip.video,
        clip.speech,
        output,
        batch_size=BATCH_SIZE,
        detections=clip.boxes,
        length="video",
    )
    painted = list(read_rgb(output))
    count = min(len(painted), len(clip.mouth))
    curve = _openings(painted[:count], clip)
    _write_sheet(sheet, clip, painted[:count], curve)
    target, original = (agreement(curve, mouth[:count, 0]) for mouth in (clip.mouth, clip.own_mouth))
    return DemoResult(sync, sheet, clip.text, target, original)


def _openings(frames: list[np.ndarray], clip: DemoClip) -> np.ndarray:
    """The mouth opening in each frame, measured on the pixels."""
    crops = []
    for frame, faces in zip(frames, read_detections(clip.boxes, SIZE_PX, SIZE_PX, FPS), strict=False):
        box = faces[0].box.clipped(SIZE_PX, SIZE_PX).rounded()
        cut = torch.from_numpy(frame[box.y1 : box.y2, box.x1 : box.x2].copy()).permute(2, 0, 1)[None].float() / 255
        crops.append(torch.nn.functional.interpolate(cut, (CROP_PX, CROP_PX), mode="bilinear", align_corners=False))
    zones = opening_zones(clip.identity, clip.poses[: len(frames)], CROP_PX)
    return mouth_opening(torch.cat(crops), zones, clip.identity)


def _write_sheet(path: Path, clip: DemoClip, painted: list[np.ndarray], curve: np.ndarray) -> None:
    """Writes the contact sheet; columns alternate between widest and smallest true opening in equal intervals."""
    count, true = len(painted), clip.mouth[:, 0]
    intervals = np.array_split(np.arange(count), COLUMNS)
    chosen = [int(part[(np.argmax, np.argmin)[k % 2](true[part])]) for k, part in enumerate(intervals)]
    source = list(read_rgb(clip.video))
    truth = {index: render_frame(clip.identity, clip.poses[index], clip.mouth[index], SIZE_PX) for index in chosen}
    rows = [
        ("source", [_shown(source[index]) for index in chosen]),
        ("result", [_shown(painted[index]) for index in chosen]),
        ("truth", [_shown(truth[index]) for index in chosen]),
    ]
    samples, _ = read_audio(clip.speech)
    curves = [("true", true[:count]), ("painted", _on_scale_of(curve, true[:count]))]
    sheet = contact_sheet(rows, [index / count for index in chosen], samples, curves)
    with writing(path), hidden_folder_beside(path) as hidden:
        part = Path(hidden) / path.name
        sheet.save(part)
        part.replace(path)


def _shown(frame: np.ndarray) -> np.ndarray:
    """The middle of a frame, where the face is."""
    edge = (SIZE_PX - COLUMN_PX) // 2
    return frame[edge + 20 : edge + 20 + COLUMN_PX, edge : edge + COLUMN_PX]


def _on_scale_of(curve: np.ndarray, true: np.ndarray) -> np.ndarray:
    """A curve without unit, scaled to the mean and standard deviation of the true one."""
    return (curve - curve.mean()) / max(curve.std(), 1e-6) * true.std() + true.mean()
