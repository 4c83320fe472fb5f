import json
import shutil
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest

from diff2lip_diffusers.errors import NoAudioError
from diff2lip_diffusers.media.reader import read_audio
from diff2lip_diffusers.media.video_writer import VideoWriter

NTSC = Fraction(30000, 1001)


def write_video(path, frame_count=25, fps=25, **options):
    with VideoWriter(path, width=48, height=32, fps=fps, **options) as writer:
        for _ in range(frame_count):
            writer.write(np.zeros((32, 48, 3), np.uint8))
    return path


def write_audio(path, seconds: float, rate: int, channels: int = 1, codec: str = "pcm_s16le"):
    """A 440 Hz tone, louder from channel to channel."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    tone = np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    samples = np.stack([tone * (index + 1) / (channels + 1) for index in range(channels)])
    packed = np.ascontiguousarray((samples * 32767).astype(np.int16).T.reshape(1, -1))
    frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
    frame.sample_rate = rate
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def stream_durations(path) -> dict[str, float]:
    """As ffprobe states them, or PyAV where it is not installed."""
    if shutil.which("ffprobe"):
        command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,duration", "-of", "json", path]
        streams = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"]
        return {stream["codec_type"]: float(stream["duration"]) for stream in streams}
    with av.open(str(path)) as container:
        return {stream.type: float(stream.duration * stream.time_base) for stream in container.streams}


def audio_packets(path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize("seconds", [0.4, 1.2, 3.0])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("kind", ["audio.wav", "audio.m4a"])
def test_audio_lasts_as_long_as_the_video(tmp_path, kind, rate, seconds):
    codec = "aac" if kind.endswith("m4a") else "pcm_s16le"
    audio = write_audio(tmp_path / kind, seconds, rate, codec=codec)
    for fps, frame_count in ((25, 31), (NTSC, 40)):
        video = write_video(tmp_path / "out.mp4", frame_count, fps, audio=audio)
        durations = stream_durations(video)
        assert durations["video"] == pytest.approx(frame_count / fps, abs=1e-3)
        assert abs(durations["audio"] - durations["video"]) <= 1 / fps
        decoded, sampling_rate = read_audio(video)
        assert sampling_rate == rate
        assert abs(len(decoded) / rate - frame_count / fps) <= max(1 / fps, 1024 / rate)


@pytest.mark.parametrize("frame_count", range(40, 60, 3))
def test_audio_at_16_khz_also_decodes_to_within_a_frame(tmp_path, frame_count):
    audio = write_audio(tmp_path / "audio.wav", 2, 16000)
    video = write_video(tmp_path / "out.mp4", frame_count, audio=audio, audio_sampling_rate=16000, audio_channels=1)
    assert abs(stream_durations(video)["audio"] - frame_count / 25) <= 1 / 25
    assert abs(len(read_audio(video)[0]) - frame_count * 640) <= 640  # 640 samples a frame


def test_encoded_audio_is_the_source_then_silence(tmp_path):
    audio = write_audio(tmp_path / "audio.wav", 0.5, 16000)
    video = write_video(tmp_path / "out.mp4", 25, audio=audio)
    source, written = read_audio(audio)[0], read_audio(video)[0]
    error = written[:7800] - source[:7800]
    assert 10 * np.log10(np.mean(source**2) / np.mean(error**2)) > 30
    assert np.abs(written[9216:]).max() < 1e-3


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_audio_packets_that_last_long_enough_are_copied(tmp_path, suffix):
    audio = write_audio(tmp_path / "audio.m4a", 3, 44100, 2, codec="aac")
    copied = audio_packets(write_video(tmp_path / f"out{suffix}", 31, audio=audio))
    original = audio_packets(audio)
    assert copied == original[: len(copied)]
    assert abs(len(copied) * 1024 / 44100 - 31 / 25) < 0.06


def test_audio_of_a_video_file_is_copied(tmp_path):
    first = write_video(tmp_path / "first.mp4", 31, audio=write_audio(tmp_path / "audio.m4a", 2, 48000, codec="aac"))
    second = write_video(tmp_path / "second.mov", 31, audio=first)
    assert audio_packets(second) == audio_packets(first)


def test_adts_audio_is_copied_into_mp4(tmp_path):
    audio = write_audio(tmp_path / "audio.aac", 2, 16000, codec="aac")
    video = write_video(tmp_path / "out.mp4", 31, audio=audio)
    assert abs(stream_durations(video)["audio"] - 31 / 25) <= 1 / 25
    assert read_audio(video)[1] == 16000


def test_audio_whose_clock_jumps_is_encoded_as_copied_packets_would_lie_on_each_other(tmp_path):
    audio = write_audio(tmp_path / "audio.ts", 1, 48000, 2, codec="ac3")
    (tmp_path / "joined.ts").write_bytes(2 * audio.read_bytes())
    copied = write_video(tmp_path / "copied.mp4", 20, audio=audio)
    assert audio_packets(copied) == audio_packets(audio)[: len(audio_packets(copied))]
    encoded = write_video(tmp_path / "encoded.mp4", 45, audio=tmp_path / "joined.ts")
    with av.open(str(encoded)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    assert stream_durations(encoded)["audio"] == pytest.approx(1.8, abs=0.04)
    heard = read_audio(encoded)[0]
    for start_s in (0.2, 0.6, 1.2, 1.6):
        # The amplitudes of the channels are 1/3 and 2/3.
        piece = heard[round(start_s * 48000) :][:4800]
        assert np.sqrt(2 * np.mean(piece**2)) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_rate_and_channels_are_kept_when_encoding(tmp_path, channels):
    audio = write_audio(tmp_path / "audio.wav", 1, 22050, channels)
    with av.open(str(write_video(tmp_path / "out.mp4", audio=audio))) as container:
        context = container.streams.audio[0].codec_context
        assert (context.sample_rate, context.channels) == (22050, channels)


def test_reproduce_mode_is_the_channel_mean_at_16_khz(tmp_path):
    audio = write_audio(tmp_path / "audio.m4a", 1, 48000, 2, codec="aac")
    video = write_video(tmp_path / "out.mp4", audio=audio, audio_sampling_rate=16000, audio_channels=1)
    with av.open(str(video)) as container:
        context = container.streams.audio[0].codec_context
        assert (context.name, context.sample_rate, context.channels) == ("aac", 16000, 1)
    # The tone's amplitudes are 1/3 and 2/3, so the mean's is 1/2; FFmpeg's own downmix gives 0.71.
    tone = read_audio(video)[0][4000:12000]
    assert np.sqrt(2 * np.mean(tone**2)) == pytest.approx(0.5, abs=0.01)


def test_impossible_audio_settings_are_refused(tmp_path):
    audio = write_audio(tmp_path / "audio.wav", 1, 8000)
    with pytest.raises(ValueError, match="audio_sampling_rate must be one of"):
        VideoWriter(tmp_path / "out.mp4", width=48, height=32, fps=25, audio=audio, audio_sampling_rate=1234)
    with pytest.raises(ValueError, match="audio_channels must be one of"):
        VideoWriter(tmp_path / "out.mp4", width=48, height=32, fps=25, audio=audio, audio_channels=99)


def test_an_audio_file_without_audio_is_refused_before_the_first_frame(tmp_path):
    silent = write_video(tmp_path / "silent.mp4")
    with pytest.raises(NoAudioError):
        VideoWriter(tmp_path / "out.mp4", width=48, height=32, fps=25, audio=silent)
