"""The default face detector: MTCNN in plain torch, its weights (2 MB) inside the package.

Three networks, each more exact and slower than the one before, look at fewer and fewer windows: P-Net slides over a
pyramid of the frame, R-Net and O-Net judge the remaining boxes. Candidates are tensors (N, K, ...): N frames with K
slots each. A score of 0 marks an empty slot, so that all frames are processed together.

Source: Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded CNNs", section II.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from ..boxes import Detection, FaceBox
from .mtcnn_nets import ONet, PNet, RNet

WEIGHTS_PATH = Path(__file__).parents[1] / "weights" / "mtcnn.safetensors"
PYRAMID_FACTOR = 0.709  # scale from level to level, half the area (the authors' released code)
PATCHES_AT_ONCE = 256


def _overlap(boxes: torch.Tensor, of_smaller: bool = False) -> torch.Tensor:
    """Returns (N, K, K): the area shared by two of the boxes (N, K, 4), over that of their union or the smaller."""
    top_left = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    bottom_right = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)
    one, other = area[:, :, None], area[:, None, :]
    whole = torch.minimum(one, other) if of_smaller else one + other - shared
    return shared / whole.clamp(min=1e-9)


def keep_best(boxes: torch.Tensor, scores: torch.Tensor, limit: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the best boxes (N, K, 4) and scores (N, K) of (N, P); K is at most `limit`."""
    fullest = int((scores > 0).sum(dim=1).max())
    scores, order = scores.topk(min(limit, fullest), dim=1)
    return boxes.gather(1, order[..., None].expand(-1, -1, 4)), scores


def suppress(boxes: torch.Tensor, scores: torch.Tensor, threshold: float, of_smaller: bool = False) -> torch.Tensor:
    """Returns the scores with 0 for each box that overlaps a better kept one: greedy non-maximum suppression.

    Each round compares all boxes at once with those kept in the last round, until nothing changes. The first t boxes
    are final after t rounds, so the result equals that of a walk down the list; a few rounds are enough in practice.

    Args:
        boxes: (N, K, 4), in descending order of score.
        scores: (N, K) in [0, 1].
        threshold: largest overlap of two kept boxes.
        of_smaller: measure the overlap against the smaller box; this also removes a box inside another.
    """
    better_overlaps = (_overlap(boxes, of_smaller) > threshold).triu(diagonal=1)
    used = keep = scores > 0
    while True:
        kept = used & ~(better_overlaps & keep[:, :, None]).any(dim=1)
        if torch.equal(kept, keep):
            return scores * keep
        keep = kept


def _move_edges(boxes: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Returns boxes (..., 4) with edges moved by offsets (..., 4), fractions of width and height (section II-B)."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes + offsets * torch.cat([sides, sides], dim=-1)


def _rescale(boxes: torch.Tensor, old_size: Sequence[int], new_size: Sequence[int]) -> torch.Tensor:
    """Returns boxes (..., 4) on a frame of `old_size` (h, w) as boxes on the same frame in `new_size`."""
    scale_y, scale_x = (new / old for old, new in zip(old_size, new_size, strict=True))
    return boxes * boxes.new_tensor([scale_x, scale_y, scale_x, scale_y])


def make_square(boxes: torch.Tensor) -> torch.Tensor:
    """Returns squares (..., 4) with the centers of the boxes and their longer sides."""
    center = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]).amax(dim=-1, keepdim=True) / 2
    return torch.cat([center - half, center + half], dim=-1)


def cut_patches(frames: torch.Tensor, boxes: torch.Tensor, index: torch.Tensor, size_px: int) -> torch.Tensor:
    """Returns the pixels in the boxes, scaled to (M, 3, size_px, size_px).

    Large boxes are read from a halved, quartered, ... frame, so that every pixel counts. The frame's edge repeats.

    Args:
        frames: (N, 3, H, W).
        boxes: (M, 4) squares in pixels.
        index: (M,) the frame of each box.
        size_px: side of the patches.
    """
    halvings = ((boxes[:, 2] - boxes[:, 0]) / size_px).clamp(min=1).log2().int()
    patches = frames.new_empty(len(boxes), 3, size_px, size_px)
    for level in range(int(halvings.max()) + 1 if len(boxes) else 0):
        frames = F.avg_pool2d(frames, 2, ceil_mode=True) if level else frames
        here = halvings == level
        patches[here] = _sample_squares(frames, boxes[here] / 2**level, index[here], size_px)
    return patches


def _sample_squares(frames: torch.Tensor, boxes: torch.Tensor, index: torch.Tensor, size_px: int) -> torch.Tensor:
    """Returns bilinear samples (M, 3, size_px, size_px), read from all frames at once as one tall strip."""
    height, width = frames.shape[2:]
    steps = (torch.arange(size_px, device=boxes.device) + 0.5) / size_px
    x, y = (boxes[:, i, None] + steps * (boxes[:, i + 2] - boxes[:, i])[:, None] for i in (0, 1))
    x = x.clamp(0.5, width - 0.5) / width
    y = (y.clamp(0.5, height - 0.5) + index[:, None] * height) / (height * len(frames))
    grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), dim=-1).flatten(0, 1)
    strip = frames.transpose(0, 1).flatten(1, 2)
    samples = F.grid_sample(strip[None], grid[None] * 2 - 1, align_corners=False)
    return samples[0].unflatten(1, (-1, size_px)).transpose(0, 1)


class MTCNN(nn.Module):
    """Finds faces in frames, on the device its weights are on, in float32.

    Args:
        max_size_px: frames are scaled down so that their long side is at most this.
        min_face_px: side of P-Net's smallest window on the scaled frame, at least 12. Faces two thirds as wide are
            still found: 16 px of 640, or 48 px of 1920. Twice the number takes half the time.
        thresholds: lowest scores that pass P-Net, R-Net and O-Net.
        max_candidates: the most boxes of a frame that a network passes on, best first; bounds memory on busy frames.
        weights: a safetensors file written by conversion/convert_mtcnn_to_safetensors.py.

    Raises:
        ValueError: a `min_face_px` below P-Net's window.

    Source: section II-A; the thresholds are those of the authors' released code.
    """

    def __init__(
        self,
        max_size_px: int = 640,
        min_face_px: int = 24,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        max_candidates: int = 512,
        weights: str | Path = WEIGHTS_PATH,
    ):
        super().__init__()
        if min_face_px < PNet.size_px:
            raise ValueError(f"min_face_px must be at least {PNet.size_px}, got {min_face_px}")
        self.max_size_px, self.min_face_px = max_size_px, min_face_px
        self.thresholds, self.max_candidates = thresholds, max_candidates
        self.pnet, self.rnet, self.onet = PNet(), RNet(), ONet()
        self.load_state_dict(load_file(weights))
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # three times as fast on a CPU

    @torch.inference_mode()
    def detect(self, frames: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Returns the faces of each frame, best first, their boxes in pixels of the frame and clipped to it.

        Args:
            frames: uint8 RGB (H, W, 3), all of one size. Speed on a CPU hardly depends on how many there are.

        Raises:
            ValueError: frames of another type or of several sizes.
        """
        _check_frames(frames)
        if len(frames) == 0:
            return []
        height, width = frames[0].shape[:2]
        # 1. scale the frames down and take values from [0, 255] to [-1, 1]
        scaled = self.load_frames(frames)
        # 2. from many rough windows to a few exact ones
        boxes, scores = self.propose(scaled)
        boxes, scores = self.judge(self.rnet, self.thresholds[1], scaled, boxes, scores)
        scores = suppress(boxes, scores, 0.7)
        boxes, scores = self.judge(self.onet, self.thresholds[2], scaled, boxes, scores)
        scores = suppress(boxes, scores, 0.7, of_smaller=True)
        # 3. back to pixels of the frames
        boxes = _rescale(boxes, scaled.shape[2:], (height, width))
        return [to_detections(*found, width, height) for found in zip(boxes.cpu(), scores.cpu(), strict=True)]

    def load_frames(self, frames: Sequence[np.ndarray]) -> torch.Tensor:
        """Returns the frames as (N, 3, H, W) in [-1, 1], scaled to at most `max_size_px`, on the weights' device.

        They are scaled as bytes on the CPU: four times as fast as floats, and the same for every device.
        """
        scale = min(1, self.max_size_px / max(frames[0].shape[:2]))
        size = [max(1, round(side * scale)) for side in frames[0].shape[:2]]
        scaled = torch.cat([_scale_bytes(frame, size) for frame in frames])
        return (scaled.to(self.pnet.conv1.weight.device).float() - 127.5) / 128

    def propose(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns P-Net's boxes (N, K, 4) over all levels of the pyramid and their scores (N, K), best first."""
        levels = [self.propose_at(frames, size) for size in self.pyramid_sizes(*frames.shape[2:])]
        if not levels:
            return frames.new_zeros(len(frames), 0, 4), frames.new_zeros(len(frames), 0)
        boxes, scores = (torch.cat(parts, dim=1) for parts in zip(*levels, strict=True))
        boxes, scores = keep_best(boxes, scores, self.max_candidates)
        return boxes, suppress(boxes, scores, 0.7)

    def propose_at(self, frames: torch.Tensor, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns P-Net's boxes (N, K, 4), in pixels of `frames`, and scores (N, K) on one level of the pyramid."""
        level = F.interpolate(frames, size, mode="bilinear", antialias=True)
        scores, offsets = self.pnet(level)
        y, x = (torch.arange(count, device=scores.device) for count in scores.shape[1:])
        corners = torch.cartesian_prod(y, x).flip(1) * self.pnet.stride_px
        windows = torch.cat([corners, corners + self.pnet.size_px], dim=1)
        boxes, scores = _move_edges(windows, offsets.flatten(2).transpose(1, 2)), scores.flatten(1)
        boxes, scores = keep_best(boxes, scores * (scores > self.thresholds[0]), self.max_candidates)
        return _rescale(boxes, size, frames.shape[2:]), suppress(boxes, scores, 0.5)

    def judge(
        self, net: RNet | ONet, threshold: float, frames: torch.Tensor, boxes: torch.Tensor, scores: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the boxes (N, K, 4) as `net` moves them, and its scores (N, K), best first."""
        used = scores > 0
        squares = make_square(boxes[used])
        patches = cut_patches(frames, squares, used.nonzero()[:, 0], net.size_px)
        judged = [net(part) for part in patches.split(PATCHES_AT_ONCE)]
        new_scores, offsets = (torch.cat(parts) for parts in zip(*judged, strict=True))
        boxes, scores = boxes.clone(), torch.zeros_like(scores)
        boxes[used] = _move_edges(squares, offsets)
        scores[used] = new_scores * (new_scores > threshold)
        return keep_best(boxes, scores, self.max_candidates)

    def pyramid_sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Returns the sizes (h, w) of the pyramid: P-Net's window covers from `min_face_px` to the whole frame."""
        sizes, scale = [], self.pnet.size_px / self.min_face_px
        while min(height, width) * scale >= self.pnet.size_px:
            sizes.append((round(height * scale), round(width * scale)))
            scale *= PYRAMID_FACTOR
        return sizes


def _check_frames(frames: Sequence[np.ndarray]) -> None:
    for index, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
            raise ValueError(f"frames[{index}] must be uint8 (H, W, 3), got {frame.dtype} {frame.shape}")
        if frame.shape != frames[0].shape:
            raise ValueError(f"frames[{index}] must have the shape of frames[0], {frames[0].shape}, got {frame.shape}")


def _scale_bytes(frame: np.ndarray, size: list[int]) -> torch.Tensor:
    """Returns the frame (H, W, 3) as a uint8 tensor (1, 3, h, w)."""
    pixels = torch.from_numpy(np.require(frame, requirements=["C", "W"])).permute(2, 0, 1)[None]
    return F.interpolate(pixels, size, mode="bilinear", antialias=True)


def to_detections(boxes: torch.Tensor, scores: torch.Tensor, width: int, height: int) -> list[Detection]:
    """Returns the boxes (K, 4) with a score (K,) above 0, clipped to the frame, without those outside."""
    boxes = boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))
    faces = (scores > 0) & (boxes[:, :2] < boxes[:, 2:]).all(dim=1)
    found = zip(boxes[faces].tolist(), scores[faces].tolist(), strict=True)
    return [Detection(FaceBox(*box), score) for box, score in found]
