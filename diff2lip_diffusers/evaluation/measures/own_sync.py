"""Agreement of mouth and speech as a SyncNet of ours sees it, for the target speech and for the original one."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ...errors import AudioTooShortError, NoAudioError
from ...lipsync.speech import read_speech
from ...portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ...sync_score import offset_distances, score_of_distances
from ...syncnet import MEL_STEPS, SYNC_FRAMES, SyncNet, sync_mel_windows
from ..aligned_frames import AlignedFrame, NotMeasurable, cut
from .group import ClipView, MeasureGroup

SYNCNET_FPS = 25
# Faces that are embedded at a time.
BATCH_SIZE = 32
MAX_OFFSET = 15
MIN_WINDOWS = 2


class OwnSyncGroup(MeasureGroup):
    """`own_lse_c`, `own_lse_d`, `own_offset`, and `own_lse_c_original` where the original speech is another.

    Faces are taken at 25 frames per second; where no face is seen, the last one stays. Only embeddings are kept, so
    memory hardly grows with the clip.
    """

    def __init__(self, view: ClipView, syncnet: SyncNet):
        if not any(view.boxes):
            raise NotMeasurable("needs a face, and none was found")
        self._syncnet, self._view = syncnet, view
        self._faces = FaceEmbedder(syncnet)
        self._input_px: int = syncnet.config["input_size"]
        self._num_shown = 0
        self._last: np.ndarray | None = None
        self._curve: list[float] = []

    def add(self, frame: AlignedFrame) -> None:
        """Takes in one frame, as often as it is shown at 25 frames per second."""
        if frame.box is not None:
            self._last = face_crop(cut(frame.output, frame.box), self._input_px)
        until = (frame.index + 1) * Fraction(SYNCNET_FPS) / self._view.fps
        while self._num_shown < until:
            self._num_shown += 1
            if self._last is not None:
                self._faces.add(self._last)

    def values(self) -> dict[str, float]:
        """Scores of the clip."""
        faces = self._faces.embeds()
        lead = self._num_shown - self._faces.num_frames
        target = self._distances(faces, self._view.speech, lead)
        score = score_of_distances(target)
        self._curve = [target[offset] for offset in sorted(target)]
        found = {
            "own_lse_c": score.lse_c,
            "own_lse_d": score.lse_d,
            "own_offset": float(score.offset_frames),
        }
        original = self._view.original_speech
        if original is not None:
            try:
                found["own_lse_c_original"] = score_of_distances(self._distances(faces, original, lead)).lse_c
            except NotMeasurable:  # a silent source video has nothing to leak
                pass
        return found

    def curves(self) -> dict[str, list[float]]:
        """Distance by offset, from -15 to 15 frames, fewer in short clips."""
        return {"own_sync_distances": self._curve}

    def _distances(self, faces: torch.Tensor, speech: Path, lead: int) -> dict[int, float]:
        audio = speech_embeds(self._syncnet, speech, lead, len(faces))
        count = min(len(faces), len(audio))
        if count < MIN_WINDOWS:
            raise NotMeasurable(f"{speech}: too short, SyncNet needs {SYNC_FRAMES + 1} frames and their speech")
        return offset_distances(faces[:count], audio[:count], MAX_OFFSET)


class FaceEmbedder:
    """Embeddings of 5 frames each, made while the frames come in.

    Args:
        syncnet: in evaluation mode.
    """

    def __init__(self, syncnet: SyncNet):
        self._syncnet = syncnet
        self._waiting: list[np.ndarray] = []
        self._embeds: list[torch.Tensor] = []
        self.num_frames = 0

    def add(self, crop: np.ndarray) -> None:
        """Takes in the next face (3, S, S) float32 in [-1, 1]."""
        self.num_frames += 1
        self._waiting.append(crop)
        if len(self._waiting) == BATCH_SIZE + SYNC_FRAMES - 1:
            self._embed()

    def embeds(self) -> torch.Tensor:
        """Returns the embeddings (N - 4, E) of all N faces.

        Raises:
            NotMeasurable: if there are less than 5 faces.
        """
        if len(self._waiting) >= SYNC_FRAMES:
            self._embed()
        if not self._embeds:
            raise NotMeasurable(f"too short, SyncNet needs {SYNC_FRAMES + 1} frames with a face")
        return torch.cat(self._embeds)

    @torch.no_grad()
    def _embed(self) -> None:
        crops = torch.from_numpy(np.stack(self._waiting)).to(self._syncnet.device)
        windows = crops.unfold(0, SYNC_FRAMES, 1).movedim(-1, 1)
        self._embeds.append(self._syncnet.encode_faces(self._syncnet.face_input(windows)).float().cpu())
        self._waiting = self._waiting[len(windows) :]


def speech_embeds(syncnet: SyncNet, speech: Path, first: int, count: int) -> torch.Tensor:
    """Returns embeddings (N, E) of the speech that belongs to windows of frames, N at most `count`.

    Args:
        syncnet: in evaluation mode.
        speech: audio or video file.
        first: frame at 25 per second with which the first window begins.
        count: windows wanted.

    Raises:
        NotMeasurable: if the file has no speech, or too little.
    """
    try:
        mel = read_speech(speech, Diff2LipFeatureExtractor()).mel
    except (NoAudioError, AudioTooShortError) as error:
        raise NotMeasurable(str(error)) from error
    return mel_embeds(syncnet, mel, first, count)


@torch.no_grad()
def mel_embeds(syncnet: SyncNet, mel: torch.Tensor, first: int, count: int) -> torch.Tensor:
    """Returns embeddings (N, E) of the part of a mel spectrogram that belongs to windows of frames, as above."""
    extractor = Diff2LipFeatureExtractor()
    steps_per_frame = Fraction(80, SYNCNET_FPS)
    last = min(first + count, int((mel.shape[1] - MEL_STEPS) / steps_per_frame) + 1)
    embeds = [
        syncnet.encode_mel(sync_mel_windows(mel, range(start, min(start + BATCH_SIZE, last)), SYNCNET_FPS, extractor))
        for start in range(first, last, BATCH_SIZE)
    ]
    return torch.cat(embeds).float().cpu() if embeds else torch.zeros(0, 0)


def face_crop(pixels: np.ndarray, size_px: int) -> np.ndarray:
    """Returns a face (3, S, S) float32 in [-1, 1] from pixels (h, w, 3) uint8, resized as training sets are."""
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()
    resized = F.interpolate(tensor, (size_px, size_px), mode="bilinear", align_corners=False, antialias=True)
    return (resized[0] / 127.5 - 1).clamp(-1, 1).numpy()
