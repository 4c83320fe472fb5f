"""The demo: a drawn face, a made-up voice and a small untrained model, through the whole chain on any machine."""

import math
import tempfile
import wave
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
import torch

from .audio_encoder_diff2lip import Diff2LipAudioEncoder
from .faces import FaceBox
from .feature_extraction_diff2lip import Diff2LipFeatureExtractor
from .lipsync import SyncResult, sync_video
from .media_writer import VideoWriter
from .output_paths import check_output_path
from .pipeline_diff2lip import Diff2LipPipeline
from .schedulers import make_scheduler, original_scheduler
from .unet_diff2lip import Diff2LipUNet2DConditionModel

SIZE_PX, FPS, DURATION_S, SAMPLING_RATE = 384, 25, 3, 16000
FACE = FaceBox(92, 74, 292, 316)
SUPERSAMPLING = 3


def run_demo(output: str | Path) -> SyncResult:
    """Lip-syncs a generated clip with an untrained model and writes it to `output`.

    The painted mouth is noise: what the demo shows is that the program works on this machine.

    Raises:
        MediaError: if `output` cannot be written.
    """
    check_output_path(output)
    with tempfile.TemporaryDirectory() as folder:
        video, audio = Path(folder) / "face.mp4", Path(folder) / "voice.wav"
        write_voice(audio)
        with VideoWriter(video, width=SIZE_PX, height=SIZE_PX, fps=FPS, quality=12) as writer:
            for index in range(FPS * DURATION_S):
                writer.write(draw_face(index / FPS))
        return sync_video(untrained_pipeline(), video, audio, output, box=FACE, num_inference_steps=4)


def untrained_pipeline(sample_size: int = 64, seed: int = 0) -> Diff2LipPipeline:
    """A pipeline of the released architecture, a fraction of its size, with random weights.

    Args:
        sample_size: height and width of its crops in pixels, divisible by 8.
        seed: decides the weights.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        unet = Diff2LipUNet2DConditionModel(
            sample_size=sample_size,
            block_out_channels=(32, 32, 64, 64),
            down_block_types=(*["ResnetDownsampleBlock2D"] * 2, *["AttnDownBlock2D"] * 2),
            layers_per_block=1,
            attention_head_dim=16,
        )
        audio_encoder = Diff2LipAudioEncoder(embed_dim=unet.config.time_embedding_dim)
    pipe = Diff2LipPipeline(
        unet.eval(),
        audio_encoder.eval(),
        Diff2LipFeatureExtractor(),
        make_scheduler("dpmsolver++", original_scheduler().config),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw_face(time_s: float) -> np.ndarray:
    """A portrait at one moment, nodding and blinking: (S, S, 3) uint8 RGB."""
    scale = SUPERSAMPLING
    image = PIL.Image.new("RGB", (SIZE_PX * scale,) * 2, (186, 205, 214))
    draw = PIL.ImageDraw.Draw(image)
    dx, dy = 3 * math.sin(2 * math.pi * time_s / 2.3), 2 * math.sin(2 * math.pi * time_s / 1.7)

    def ellipse(x: float, y: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        x, y = x + dx, y + dy
        draw.ellipse([scale * edge for edge in (x - rx, y - ry, x + rx, y + ry)], fill=colour)

    skin, shade, hair = (232, 186, 158), (214, 164, 136), (72, 48, 38)
    ellipse(192, 420, 170, 110, (64, 92, 120))
    ellipse(192, 312, 46, 60, shade)
    ellipse(192, 172, 108, 128, hair)
    ellipse(192, 206, 88, 112, skin)
    ellipse(192, 92, 92, 46, hair)
    for side in (-1, 1):
        ellipse(192 + side * 88, 210, 12, 22, shade)
        ellipse(192 + side * 36, 168, 22, 5, hair)
        _draw_eye(ellipse, 192 + side * 36, 190, blink=time_s % 2.1 < 0.1, skin=shade)
    ellipse(192, 226, 11, 16, shade)
    ellipse(192, 264, 30, 8, (176, 84, 84))
    ellipse(192, 262, 26, 2, (120, 48, 52))
    soft = image.filter(PIL.ImageFilter.GaussianBlur(scale))
    return np.asarray(soft.resize((SIZE_PX, SIZE_PX), PIL.Image.Resampling.LANCZOS))


def _draw_eye(ellipse, x: float, y: float, blink: bool, skin: tuple[int, int, int]) -> None:
    if blink:
        ellipse(x, y, 18, 3, skin)
        return
    ellipse(x, y, 18, 11, (250, 250, 248))
    ellipse(x, y, 9, 9, (82, 112, 92))
    ellipse(x, y, 4, 4, (24, 24, 28))


def write_voice(path: Path) -> None:
    """Writes a voice-like sound, 16-bit mono: a buzzing tone through two slow formants, in syllables."""
    time_s = np.arange(SAMPLING_RATE * DURATION_S) / SAMPLING_RATE
    phase = 2 * np.pi * np.cumsum(120 + 15 * np.sin(2 * np.pi * 0.7 * time_s)) / SAMPLING_RATE
    formants = (500 + 200 * np.sin(2 * np.pi * 1.1 * time_s), 1500 + 500 * np.sin(2 * np.pi * 0.8 * time_s))
    tone = np.zeros_like(time_s)
    for harmonic in range(1, 30):
        gain = sum(np.exp(-(((120 * harmonic - formant) / 150) ** 2)) for formant in formants)
        tone += (0.1 + gain) / harmonic * np.sin(harmonic * phase)
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * time_s), 0, 1) ** 0.5
    samples = tone * syllables
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLING_RATE)
        file.writeframes((0.5 * 32767 * samples / np.abs(samples).max()).astype("<i2").tobytes())
