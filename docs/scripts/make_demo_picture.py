#!/usr/bin/env python3
"""Makes the README's animated picture from the demo's video: source and result side by side, over the speech.

`make demo-picture` runs it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from diff2lip_diffusers.demo.demo_clip import FACE_TEXT, FPS, SPEECH_TEXT, load_demo_clip
from diff2lip_diffusers.media.reader import read_audio, read_rgb

PICTURE = Path(__file__).parents[1] / "images" / "demo.webp"
MAX_BYTES = 1_500_000
# The part of the demo's frames (256 x 256) that shows the face: left, top, right, bottom.
FACE_AREA = (28, 50, 228, 250)
FACE_PX, MARGIN_PX, CAPTION_PX, WAVE_PX = 288, 16, 72, 60
WIDTH, HEIGHT = 2 * FACE_PX + 3 * MARGIN_PX, CAPTION_PX + FACE_PX + WAVE_PX + 4 * MARGIN_PX
PAPER, INK, FAINT, ACCENT = (250, 249, 246), (38, 40, 46), (176, 176, 172), (214, 96, 52)
CAPTION_LETTERS = 36  # a line holds, at most
CAPTIONS = (("source", FACE_TEXT), ("lip-synced", SPEECH_TEXT))


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the README's animated picture from the demo's video.")
    parser.add_argument("video", type=Path, nargs="?", default=Path("demo.mp4"), help="output of `make demo`")
    parser.add_argument("--output", type=Path, default=PICTURE, help="animated WebP to write")
    parser.add_argument(
        "--quality", type=int, default=82, help="of the WebP, 0 to 100; below 80, flat areas get a dotted pattern"
    )
    args = parser.parse_args()
    first, *others = draw_frames(args.video)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    first.save(
        args.output,
        save_all=True,
        append_images=others,
        duration=round(1000 / FPS),
        loop=0,
        quality=args.quality,
        method=4,
    )
    size = args.output.stat().st_size
    print(f"{args.output}: {1 + len(others)} frames of {WIDTH} x {HEIGHT}, {size / 1e6:.2f} MB")
    if size > MAX_BYTES:
        raise SystemExit(f"{args.output}: is larger than {MAX_BYTES / 1e6} MB; pass a lower --quality")


def draw_frames(video: Path) -> Iterator[PIL.Image.Image]:
    """Yields the picture's frames, at the demo's frame rate."""
    clip = load_demo_clip()
    pairs = list(zip(read_rgb(clip.video), read_rgb(video), strict=False))
    samples, sampling_rate = read_audio(clip.speech)
    background = _background(samples[: round(len(pairs) / FPS * sampling_rate)])
    for index, pair in enumerate(pairs):
        frame = background.copy()
        for column, face in enumerate(pair):
            frame.paste(_face(face), (_left(column), CAPTION_PX + 2 * MARGIN_PX))
        x = MARGIN_PX + (index + 0.5) / len(pairs) * (WIDTH - 2 * MARGIN_PX)
        draw = PIL.ImageDraw.Draw(frame)
        draw.line([(x, HEIGHT - MARGIN_PX - WAVE_PX), (x, HEIGHT - MARGIN_PX)], ACCENT, 3)
        yield frame


def _background(samples: np.ndarray) -> PIL.Image.Image:
    """Returns what stays the same in all frames: captions and the waveform of `samples` (T,), float32 in [-1, 1]."""
    image = PIL.Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = PIL.ImageDraw.Draw(image)
    for column, (title, text) in enumerate(CAPTIONS):
        lines = "\n".join(wrap(f"\u201c{text}\u201d", CAPTION_LETTERS))
        draw.text((_left(column), MARGIN_PX), title, ACCENT if column else INK, PIL.ImageFont.load_default(24))
        draw.text((_left(column), MARGIN_PX + 32), lines, INK, PIL.ImageFont.load_default(16))
    middle, peak = HEIGHT - MARGIN_PX - WAVE_PX / 2, max(float(np.abs(samples).max()), 1e-6)
    for x, part in enumerate(np.array_split(samples, WIDTH - 2 * MARGIN_PX), MARGIN_PX):
        high, low = (middle - float(value) / peak * WAVE_PX / 2 for value in (part.max(), part.min()))
        draw.line([(x, high), (x, low)], FAINT, 1)
    return image


def _face(frame: np.ndarray) -> PIL.Image.Image:
    return PIL.Image.fromarray(frame).crop(FACE_AREA).resize((FACE_PX, FACE_PX), PIL.Image.Resampling.LANCZOS)


def _left(column: int) -> int:
    return MARGIN_PX + column * (FACE_PX + MARGIN_PX)


if __name__ == "__main__":
    main()
