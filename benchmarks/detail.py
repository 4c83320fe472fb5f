#!/usr/bin/env python3
"""Measures how much sharper `detail="video"` makes a mouth, where the truth is known.

An oracle takes the model's place: the true face of each frame, averaged down to S x S pixels and then spoiled:

- clean: not at all;
- blur: Gaussian blur of 1 pixel, noise of 2 levels;
- hard: the mean of four random warps, a blurrier mouth, JPEG of quality 70, noise of 2 levels.

Each face is enlarged to its size in the video by the product's kernel (plain), by Catmull-Rom, and with detail from
exemplars that are at least 1.5 s away from the frame (in a short video a quarter of it). Two stretches of each video
are judged, from a fifth and from two thirds of it on; exemplars come from all of it. Measured on the mouth: PSNR in
dB; SSIM; GMSD (lower is better); HF, the energy of the fine band relative to the truth's; corr, the correlation of the
two bands; flicker, the change of the band along the true motion relative to the truth's; worse, the share of frames
more than 0.3 dB below plain; ms of one core a frame. The fine band is what a blur of half a model's pixel takes away.

    python benchmarks/detail.py VIDEO... [--cases 128-blur 64-hard] [--frames 48] [--pictures FOLDER]
"""

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from diff2lip_diffusers.detail.bank import Bank
from diff2lip_diffusers.detail.enlargement import cubic_weights
from diff2lip_diffusers.detail.exemplars import first_row_of, make_exemplar
from diff2lip_diffusers.detail.luma import luma
from diff2lip_diffusers.detail.sharpener import MouthSharpener
from diff2lip_diffusers.evaluation.aligned_frames import follow_face
from diff2lip_diffusers.lipsync.compositing import CUBIC_B
from diff2lip_diffusers.lipsync.options import SyncOptions
from diff2lip_diffusers.media.reader import probe_video, read_frames

CASES = ("128-clean", "128-blur", "128-hard", "64-clean", "64-blur", "64-hard")
METHODS = ("plain", "catmull-rom", "detail")
MOUTH = (0.58, 0.94), (0.16, 0.88)
PAINTED_FRACTION, BANK, AWAY_S, WORSE_DB = 0.5, 64, 1.5, 0.3
# Where the judged stretches begin, as fractions of a video; so many of its faces are read at most.
STARTS, MOST_FACES = (0.2, 0.65), 1000
# Of "hard", in pixels of a crop of 128: how far the warps go; the mouth's extra blur.
WARP_PX, MOUTH_BLUR_PX, WARPS = 0.7, 0.9, 4
# Of GMSD, from its paper: (Xue and others, 2014) for levels of 0..255.
GMSD_CONSTANT = 170.0


def main() -> None:
    """Measures all videos and prints one table."""
    args = parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    jobs = [(video, case, args.frames, args.pictures) for video in args.videos for case in args.cases]
    print("| video | case | method | PSNR | SSIM | GMSD | HF | corr | flicker | worse % | ms |")
    print("|---" * 11 + "|")
    with ProcessPoolExecutor(args.workers) as pool:
        for (video, case, *_), rows in zip(jobs, pool.map(measure, *zip(*jobs, strict=True)), strict=True):
            for method, numbers in rows.items():
                print(f"| {video.stem} | {case} | {method} | {' | '.join(numbers)} |", flush=True)


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="S and what is spoiled")
    parser.add_argument("--frames", type=int, default=200, help="how many are judged in a video (default: 200)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="write truth, plain and detail side by side")
    return parser.parse_args()


def measure(video: Path, case: str, frames: int, pictures: Path | None) -> dict[str, list[str]]:
    """The numbers of one video and case, by method."""
    size, spoil = int(case.split("-")[0]), SPOILED[case.split("-")[1]]
    fps, faces = faces_of(video)
    bank = bank_of(faces, size)
    away = min(AWAY_S * float(fps), len(faces) / 4)
    scores = {method: Score(size) for method in METHODS}
    for start in STARTS:
        random, sharpener = np.random.default_rng(1), MouthSharpener(bank)
        first = int(start * len(faces))
        for score in scores.values():
            score.last = None
        for number, (truth, motion) in enumerate(with_motion(faces[first : first + frames // len(STARTS)]), first):
            painted = spoil(averaged(truth, size), random)
            far = np.abs(bank.numbers - number) >= away
            height, width = truth.shape[:2]
            results = {
                "plain": lambda painted=painted, h=height, w=width: enlarged_to(painted, h, w, CUBIC_B),
                "catmull-rom": lambda painted=painted, h=height, w=width: enlarged_to(painted, h, w, 0),
                "detail": lambda painted=painted, truth=truth, far=far, sharpen=sharpener: sharpen(
                    painted, averaged(truth, size).astype(np.uint8), far
                ),
            }
            shown = {method: scores[method].add(make, truth, motion) for method, make in results.items()}
            if pictures is not None and number % 6 == 0:
                faces_shown = [truth, shown["plain"], shown["detail"]]
                write_picture(pictures / f"{video.stem}-{case}-{number:04d}.png", faces_shown)
    return {method: score.numbers(scores["plain"]) for method, score in scores.items()}


@lru_cache(maxsize=1)
def faces_of(video: Path) -> tuple[Fraction, list[np.ndarray]]:
    """The frame rate of a video, and its first faces, (h, w, 3) uint8."""
    fps = probe_video(video).fps
    boxes = follow_face(video, fps, SyncOptions())
    shown = zip(read_frames(video, fps), boxes, strict=False)
    return fps, list(islice((frame.rgb(box) for frame, box in shown if box is not None), MOST_FACES))


def bank_of(faces: list[np.ndarray], size: int) -> Bank:
    """A bank of exemplars that are evenly spread over the faces."""
    chosen = np.unique(np.linspace(0, len(faces) - 1, BANK).round().astype(int))
    exemplars = [make_exemplar(int(index), faces[index], size, PAINTED_FRACTION) for index in chosen]
    return Bank(exemplars, first_row_of(PAINTED_FRACTION, size))


def with_motion(faces: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Each face, and where its pixels were in the face before; None where that has another size."""
    search, before = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM), None
    for face in faces:
        gray = np.rint(luma(face)).astype(np.uint8)
        if before is None or before.shape != gray.shape:
            yield face, None
        else:
            yield face, search.calc(gray, before, np.zeros((*gray.shape, 2), np.float32))
        before = gray


def moved(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The image (h, w[, C]) with each pixel taken from where the motion (h, w, 2) points."""
    height, width = image.shape[:2]
    across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    places = across + motion[..., 0], down + motion[..., 1]
    return cv2.remap(image, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def averaged(face: np.ndarray, size: int) -> np.ndarray:
    """A face averaged down to (size, size, 3) float32."""
    return cv2.resize(face.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)


def blur(small: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The case "blur"."""
    return noisy(cv2.GaussianBlur(small, (0, 0), 1.0), random)


def hard(small: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The case "hard"."""
    size = len(small)
    moves = random.normal(0, WARP_PX * size / 128, (WARPS, 6, 6, 2)).astype(np.float32)
    moves = [cv2.resize(move, (size, size), interpolation=cv2.INTER_CUBIC) for move in moves]
    mean = np.stack([moved(small, move) for move in moves]).mean(axis=0)
    mask = np.zeros((size, size), np.float32)
    mask[inside(size, size)] = 1
    mask = cv2.GaussianBlur(mask, (0, 0), 0.03 * size)[..., None]
    mean += mask * (cv2.GaussianBlur(mean, (0, 0), MOUTH_BLUR_PX * size / 128) - mean)
    _, packed = cv2.imencode(".jpg", np.rint(mean).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 70])
    return noisy(np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.float32), random)


def noisy(small: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """With noise of 2 levels."""
    return (small + random.normal(0, 2, small.shape)).clip(0, 255).astype(np.float32)


SPOILED: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "clean": lambda small, _: small,
    "blur": blur,
    "hard": hard,
}


def enlarged_to(face: np.ndarray, height: int, width: int, softness: float) -> np.ndarray:
    """A square face in the size of its box, as the product pastes it; `softness`: the kernel's B at twice the size."""
    size = len(face)
    down, across = (cubic_weights(size, n, softness * float(np.clip(n / size - 1, 0, 1))) for n in (height, width))
    return across @ (down @ face.reshape(size, -1)).reshape(height, size, 3)


def inside(height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of the mouth."""
    (top, bottom), (left, right) = MOUTH
    return slice(int(top * height), int(bottom * height)), slice(int(left * width), int(right * width))


@dataclass
class Score:
    """Adds up the numbers of one method.

    Args:
        size: S.
    """

    size: int
    rows: list[tuple[float, ...]] = field(default_factory=list)
    changes: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    last: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, make: Callable[[], np.ndarray], truth: np.ndarray, motion: np.ndarray | None) -> np.ndarray:
        """Makes a face, scales it to the truth (h, w, 3), and compares the two."""
        started = time.process_time()
        made = make()
        self.seconds += time.process_time() - started
        height, width = truth.shape[:2]
        if made.shape != truth.shape:
            made = enlarged_to(made, height, width, CUBIC_B)
        made, mouth = made.clip(0, 255), inside(height, width)
        lumas = luma(made), luma(truth)
        sigma = 0.25 * (height + width) / self.size
        bands = (
            lumas[0] - cv2.GaussianBlur(lumas[0], (0, 0), sigma),
            lumas[1] - cv2.GaussianBlur(lumas[1], (0, 0), sigma),
        )
        error = np.square(made[mouth] - truth[mouth]).mean()
        pair = lumas[0][mouth], lumas[1][mouth]
        fine = bands[0][mouth].ravel(), bands[1][mouth].ravel()
        energies = [float(np.square(band).sum()) for band in fine]
        psnr = 10 * np.log10(255**2 / max(float(error), 1e-6))
        self.rows.append((psnr, ssim(*pair), gmsd(*pair), *energies, correlation(*fine)))
        if motion is not None and self.last is not None:
            self.changes.append(
                (change(bands[0], self.last[0], motion, mouth), change(bands[1], self.last[1], motion, mouth))
            )
        self.last = bands
        return made

    def numbers(self, plain: "Score") -> list[str]:
        """The means as texts, in the order of the table."""
        psnr, similar, deviation, energy, true_energy, corr = np.array(self.rows).T
        made, true = np.array(self.changes).sum(axis=0)
        worse = 100 * (psnr < np.array(plain.rows)[:, 0] - WORSE_DB).mean()
        fine = f"{energy.sum() / true_energy.sum():.2f}", f"{corr.mean():.2f}", f"{made / true:.2f}"
        cost = 1000 * self.seconds / len(psnr)
        means = f"{psnr.mean():.2f}", f"{similar.mean():.3f}", f"{deviation.mean():.3f}"
        return [*means, *fine, f"{worse:.1f}", f"{cost:.1f}"]


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's, of two arrays of numbers."""
    first, second = first - first.mean(), second - second.mean()
    return float((first * second).sum() / np.sqrt(np.square(first).sum() * np.square(second).sum()))


def fine_band(gray: np.ndarray, sigma: float) -> np.ndarray:
    """What a blur takes away."""
    return gray - cv2.GaussianBlur(gray, (0, 0), sigma)


def change(band: np.ndarray, before: np.ndarray, motion: np.ndarray, mouth: tuple[slice, slice]) -> float:
    """By how much a band differs from the one before, moved along."""
    return float(np.sqrt(np.square(band - moved(before, motion))[mouth].mean()))


def ssim(made: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity. Source: Wang and others, 2004."""
    first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def mean(image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (11, 11), 1.5)

    a, b = mean(made), mean(truth)
    spread = mean(made * made) - a * a + mean(truth * truth) - b * b
    both = mean(made * truth) - a * b
    return float(((2 * a * b + first) * (2 * both + second) / ((a * a + b * b + first) * (spread + second))).mean())


def gmsd(made: np.ndarray, truth: np.ndarray) -> float:
    """Deviation of the similarity of gradients. Source: Xue and others, 2014."""
    prewitt = np.array([[1, 0, -1]] * 3, np.float32) / 3
    halves = [cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for image in (made, truth)]
    a, b = (np.hypot(cv2.filter2D(half, -1, prewitt), cv2.filter2D(half, -1, prewitt.T)) for half in halves)
    return float(((2 * a * b + GMSD_CONSTANT) / (a * a + b * b + GMSD_CONSTANT)).std())


def write_picture(path: Path, faces: list[np.ndarray]) -> None:
    """Writes the lower halves of faces side by side, four times as large."""
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = [face[len(face) // 2 :] for face in faces]
    strip = np.rint(np.concatenate(halves, axis=1)).astype(np.uint8)
    Image.fromarray(strip).resize((4 * strip.shape[1], 4 * strip.shape[0]), Image.Resampling.NEAREST).save(path)


if __name__ == "__main__":
    main()
