"""What a camera does to the frames of a clip: softness, motion blur, noise, and stronger compression."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..head import MouthShape, render_frame
from ..head_view import face_box
from ..identity import Identity
from ..motion import Pose

# A frame is the mean of pictures between which the face moves by so much, in frame sides, and of at most so many.
_MOVED, _MOST_POSES = 0.008, 5


@dataclass(frozen=True)
class Camera:
    """The camera of a clip.

    Attributes:
        exposure: of a frame, as a part of the time between frames; 0 never blurs.
        noise: of the pixels in the middle tones, as a standard deviation of bytes.
        grain_px: size of the noise.
        softness: part of the light that a pixel gives to its neighbors, 0 to 0.6.
        contrast: 1 is neutral.
        crf: added to that of the corpus, by which the video is compressed more.
    """

    exposure: float = 0.0
    noise: float = 0.0
    grain_px: int = 1
    softness: float = 0.0
    contrast: float = 1.0
    crf: int = 0


def camera_of(identity: Identity) -> Camera:
    """Returns the camera that a person is filmed with: a faultless one for a plain person."""
    if identity.traits is None:
        return Camera()
    rng = np.random.default_rng([identity.seed, 0xCA3])
    return Camera(
        exposure=float(rng.choice((0.0, rng.uniform(0.3, 0.8)), p=(0.45, 0.55))),
        noise=float(rng.choice((0.0, rng.uniform(1.0, 4.0), rng.uniform(4.0, 7.0)), p=(0.4, 0.45, 0.15))),
        grain_px=int(rng.choice((1, 2), p=(0.85, 0.15))),
        softness=float(rng.choice((0.0, rng.uniform(0.1, 0.55)), p=(0.7, 0.3))),
        contrast=float(rng.uniform(0.9, 1.15)),
        crf=int(rng.choice((0, 4, 8, 12), p=(0.5, 0.25, 0.15, 0.1))),
    )


def film(
    identity: Identity, poses: Sequence[Pose], mouth: Sequence[MouthShape] | np.ndarray, size_px: int
) -> Iterator[np.ndarray]:
    """Yields the frames of a clip as the person's camera takes them, uint8 RGB (size_px, size_px, 3).

    Args:
        identity: the person.
        poses: of the head, one per frame.
        mouth: N mouth shapes.
        size_px: height and width of the frames.
    """
    camera = camera_of(identity)
    for index, (pose, shape) in enumerate(zip(poses, mouth, strict=True)):
        after = poses[min(index + 1, len(poses) - 1)]
        frames = [render_frame(identity, each, shape, size_px) for each in _during(identity, camera, pose, after)]
        yield _developed(_mean(frames), camera, np.random.default_rng([identity.seed, 0xCA4, index]))


def _during(identity: Identity, camera: Camera, pose: Pose, after: Pose) -> list[Pose]:
    """The poses during the exposure of a frame, from its own on; the more, the further the face or a hand moves."""
    if not camera.exposure or pose == after:
        return [pose]
    here, there = (face_box(identity, each, 1) for each in (pose, after))
    way = max(abs(here.x1 - there.x1), abs(here.y1 - there.y1))
    if pose.cover and after.cover:
        way = max(way, here.height * np.hypot(pose.cover.x - after.cover.x, pose.cover.y - after.cover.y))
    count = min(_MOST_POSES, 1 + int(camera.exposure * way / _MOVED))
    return [_between(pose, after, camera.exposure * step / count) for step in range(count)]


def _between(first: Pose, second: Pose, share: float) -> Pose:
    """The pose that is `share` of the way from the first to the second; a blink stays as it is in the first."""
    moved = {
        name: getattr(first, name) + share * (getattr(second, name) - getattr(first, name))
        for name in ("yaw", "pitch", "roll", "dx", "dy", "scale")
    }
    a, b = first.cover, second.cover
    cover = a and b and replace(a, x=a.x + share * (b.x - a.x), y=a.y + share * (b.y - a.y))
    return replace(first, **moved, cover=cover or a)


def _mean(frames: list[np.ndarray]) -> np.ndarray:
    if len(frames) == 1:
        return frames[0]
    return (sum(frame.astype(np.float32) for frame in frames) / len(frames) + 0.5).astype(np.uint8)  # pyright: ignore


def _developed(frame: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Applies contrast, softness and noise."""
    if camera == Camera(exposure=camera.exposure, crf=camera.crf):
        return frame
    picture = frame.astype(np.float32)
    if camera.softness:
        picture = _softened(picture, camera.softness)
    picture = (picture - 118) * np.float32(camera.contrast) + 118
    if camera.noise:
        picture += _noise(picture, camera, rng)
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _softened(picture: np.ndarray, share: float) -> np.ndarray:
    """Mixes each pixel with its neighbors."""
    for axis in (0, 1):
        before = np.roll(picture, 1, axis)
        after = np.roll(picture, -1, axis)
        picture = (1 - share) * picture + (share / 2) * (before + after)
    return picture


def _noise(picture: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Noise that is strongest in the shadows, half of it the same in all channels."""
    height, width = (-(-side // camera.grain_px) for side in picture.shape[:2])
    gray = rng.standard_normal((height, width, 1), dtype=np.float32)
    hue = rng.standard_normal((height, width, 3), dtype=np.float32)
    grain = camera.noise * (0.8 * gray + 0.5 * hue)
    if camera.grain_px > 1:
        grain = grain.repeat(camera.grain_px, 0).repeat(camera.grain_px, 1)[: picture.shape[0], : picture.shape[1]]
    return grain * (1.25 - picture.mean(axis=2, keepdims=True) * np.float32(0.7 / 255))
