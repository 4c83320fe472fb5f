"""Good files, from which the damaged ones are made."""

import json
import os
import traceback
import wave
from pathlib import Path

import av
import numpy as np
import PIL.Image
import torch
from helpers.training_sets import write_training_set
from helpers.untrained import untrained_pipeline

SIZE = (64, 48)
NUM_FRAMES, RATE = 6, 16000
VIDEOS = {
    "h264.mp4": ("libx264", "aac"),
    "hevc.mov": ("libx265", "pcm_s16le"),
    "h264.mkv": ("libx264", "mp3"),
    "vp9.webm": ("libvpx-vp9", "libopus"),
    "mpeg2.ts": ("mpeg2video", "mp2"),
    "mpeg2.mpg": ("mpeg2video", "mp2"),
    "mpeg4.avi": ("mpeg4", "ac3"),
    "flash.flv": ("flv", "mp3"),
    "png.mov": ("png", "pcm_s16le"),
    "ffv1.mkv": ("ffv1", "flac"),
    "windows.wmv": ("wmv2", "mp3"),
    "stream.mjpeg": ("mjpeg", None),
    "stream.h264": ("libx264", None),
    "animated.gif": ("gif", None),
    "animated.apng": ("apng", None),
}
SOUNDS = {
    "pcm.wav": "pcm_s16le",
    "float.wav": "pcm_f32le",
    "lame.mp3": "libmp3lame",
    "sound.flac": "flac",
    "opus.ogg": "libopus",
    "sound.m4a": "aac",
    "raw.aac": "aac",
    "dolby.ac3": "ac3",
    "big.aiff": "pcm_s16be",
}
STILLS = ("photo.png", "photo.jpg", "photo.webp", "photo.bmp", "photo.tiff", "photo.gif", "photo.avif")
PIXEL_FORMATS = {"mjpeg": "yuvj420p", "png": "rgb24", "apng": "rgb24", "gif": "rgb8"}


def write_seeds(folder: Path) -> None:
    """Writes all seeds; in a process of its own, because encoders start threads."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _write_all(folder)
            code = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the seeds cannot be written")


def _write_all(folder: Path) -> None:
    for kind in ("video", "audio", "still"):
        (folder / kind).mkdir(parents=True)
    for name, (codec, sound) in VIDEOS.items():
        _write_media(folder / "video" / name, codec, sound)
    for name, codec in SOUNDS.items():
        _write_media(folder / "audio" / name, None, codec)
    for name in STILLS:
        image = PIL.Image.fromarray(_picture(0))
        image.save(folder / "still" / name, **({"exif": _exif()} if name.endswith(("jpg", "png", "webp")) else {}))
    _write_speech(folder / "speech.wav")
    _write_media(folder / "face.mp4", "libx264", "aac")
    torch.set_num_threads(1)
    pipe = untrained_pipeline(32)
    pipe.save_pretrained(folder / "model")
    write_training_set(folder / "set", (10, 8))
    torch.save(
        {name: tensor[:2].clone() for name, tensor in list(pipe.unet.state_dict().items())[:40]}, folder / "w.pt"
    )
    entries = [{"video": "face.mp4", "audio": "speech.wav", "output": f"{n}.mp4", "seed": n} for n in range(2)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def _exif() -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    return exif


def _picture(number: int) -> np.ndarray:
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return np.stack([rows * 4 + number * 5, columns * 3, rows + columns + number], axis=-1).astype(np.uint8)


def _samples(count: int) -> np.ndarray:
    time_s = np.arange(count) / RATE
    return 0.4 * np.sin(2 * np.pi * 180 * time_s) * (1 + 0.5 * np.sin(2 * np.pi * 2.5 * time_s))


def _write_speech(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "NONE"))
        file.writeframes((_samples(RATE * NUM_FRAMES // 25) * 20000).astype("<i2").tobytes())


def _write_media(path: Path, codec: str | None, sound: str | None) -> None:
    with av.open(f"file:{path}", "w", format="apng" if path.suffix == ".apng" else None) as out:
        video = None if codec is None else _video_stream(out, codec)
        audio = None if sound is None else _audio_stream(out, sound)
        if video is not None:
            for number in range(NUM_FRAMES):
                frame = av.VideoFrame.from_ndarray(_picture(number), format="rgb24")
                out.mux(video.encode(frame.reformat(format=video.codec_context.pix_fmt)))
            out.mux(video.encode(None))
        if audio is not None:
            for frame in _resampled(audio.codec_context):
                out.mux(audio.encode(frame))
            out.mux(audio.encode(None))


def _video_stream(out, codec: str):
    options = {"libx265": {"x265-params": "log-level=error"}}.get(codec, {})
    stream = out.add_stream(codec, rate=25, width=SIZE[0], height=SIZE[1], options=options)
    stream.pix_fmt = PIXEL_FORMATS.get(codec, "yuv420p")
    return stream


def _audio_stream(out, codec: str):
    return out.add_stream(codec, rate=48000 if codec == "libopus" else 44100, layout="mono")


def _resampled(context):
    if not context.is_open:
        context.open()
    sound = av.AudioFrame.from_ndarray(
        (_samples(RATE // 2) * 20000).astype(np.int16).reshape(1, -1), format="s16", layout="mono"
    )
    sound.sample_rate, sound.pts = RATE, 0
    resampler = av.AudioResampler(context.format.name, "mono", context.sample_rate, context.frame_size or 1024)
    yield from resampler.resample(sound)
    yield from resampler.resample(None)
