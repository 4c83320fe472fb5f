"""Writes a small training set: moving colored squares with a mouth that opens with the audio."""

import json
import wave
from pathlib import Path

import av
import numpy as np

FPS, SAMPLING_RATE = 25, 16000

# A configuration of a few small steps.
MODEL = {
    "sample_size": 16,
    "block_out_channels": [32, 32],
    "attention_levels": [1],
    "layers_per_block": 1,
    "attention_head_dim": 16,
    "audio": {"input_channels": 32, "block_out_channels": [32] * 4, "layers_per_block": 1},
}
SETTINGS = {
    "max_train_steps": 4,
    "model": MODEL,
    "train_batch_size": 2,
    "frames_per_sample": 1,
    "losses": "simple",
    "lr_warmup_steps": 2,
    "learning_rate": 1e-3,
    "held_out_fraction": 0.0,
    "cache": "memory",
    "checkpointing_steps": 2,
    "validation_steps": 0,
    "report_to": "none",
}


def write_training_set(folder: Path, frames: tuple[int, ...] = (30, 24, 36), size_px: int = 32) -> Path:
    """Writes one clip per speaker, with these numbers of frames."""
    (folder / "clips").mkdir(parents=True)
    settings = {"version": 1, "size_px": size_px, "fps": FPS, "sampling_rate": SAMPLING_RATE}
    (folder / "settings.json").write_text(json.dumps(settings))
    with (folder / "index.jsonl").open("w") as index:
        for number, count in enumerate(frames):
            name = f"clip_{number:05d}"
            _write_frames(folder / "clips" / f"{name}.mp4", number, count, size_px)
            _write_audio(folder / "clips" / f"{name}.wav", number, count)
            entry = {"name": name, "frames": count, "identity": f"speaker{number}", "source": f"speaker{number}.mp4"}
            index.write(json.dumps(entry | {"start_s": 0.0, "confidence": None, "offset_frames": None}) + "\n")
    return folder


def opening(number: int, frame: int) -> float:
    """How far the mouth of a clip is open at a frame, 0 to 1."""
    return (1 - np.cos(2 * np.pi * frame / (8 + number))) / 2


def draw_frame(number: int, frame: int, size_px: int) -> np.ndarray:
    """(S, S, 3) uint8: a square that moves to the right, and a mouth."""
    image = np.full((size_px, size_px, 3), (60, 90 + 40 * number % 120, 150), np.uint8)
    left = frame * size_px // 40
    image[size_px // 4 : size_px // 4 + 4, left : left + 4] = (250, 220, 10)
    half = 1 + round(opening(number, frame) * size_px / 8)
    middle = round(0.78 * size_px)
    image[middle - half : middle + half, size_px // 3 : 2 * size_px // 3] = (130, 20, 30)
    return image


def _write_frames(path: Path, number: int, count: int, size_px: int) -> None:
    with av.open(str(path), "w") as container:
        options = {"crf": "4", "g": "10", "bf": "2"}
        stream = container.add_stream("libx264", rate=FPS, options=options, width=size_px, height=size_px)
        stream.pix_fmt = "yuv444p"
        for frame in range(count):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(draw_frame(number, frame, size_px), format="rgb24"))
            )
        container.mux(stream.encode())


def _write_audio(path: Path, number: int, count: int) -> None:
    time_s = np.arange(count * SAMPLING_RATE // FPS) / SAMPLING_RATE
    loudness = (1 - np.cos(2 * np.pi * time_s * FPS / (8 + number))) / 2
    samples = 0.5 * loudness * np.sin(2 * np.pi * (200 + 30 * number) * time_s)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLING_RATE, 0, "NONE", "not compressed"))
        file.writeframes((32767 * samples).astype("<i2").tobytes())
