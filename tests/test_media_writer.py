import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from diff2lip_diffusers.errors import MediaError, NoAudioError
from diff2lip_diffusers.media import ColorTags, VideoInfo, probe_video, read_audio, read_frames
from diff2lip_diffusers.media_writer import VideoWriter, check_output_path

NTSC = Fraction(30000, 1001)
COLOURS = np.array(
    [[200, 60, 90], [20, 180, 40], [30, 50, 220], [250, 250, 250], [0, 0, 0], [128, 128, 128]], np.uint8
)


def patches(height: int, width: int) -> np.ndarray:
    columns = np.repeat(COLOURS, -(-width // len(COLOURS)), axis=0)[:width]
    return np.ascontiguousarray(np.broadcast_to(columns, (height, width, 3)))


def patch_centres(height: int, width: int) -> tuple[slice, list[int]]:
    step = -(-width // len(COLOURS))
    return height // 2, [step // 2 + step * index for index in range(len(COLOURS))]


def write_video(path, frame_count=25, fps=25, height=32, width=48, **options):
    with VideoWriter(path, width=width, height=height, fps=fps, **options) as writer:
        for _ in range(frame_count):
            writer.write(patches(height, width))
    return path


def write_sound(path, seconds: float, rate: int, channels: int = 1, codec: str = "pcm_s16le"):
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


def sound_packets(path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), 25, NTSC, 30, 60])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v", ".mkv"])
def test_rate_and_number_of_frames_are_kept(tmp_path, fps, suffix):
    video = write_video(tmp_path / f"out{suffix}", 31, fps)
    assert probe_video(video).fps == fps
    assert sum(1 for _ in read_frames(video)) == 31


# No info: by size. Otherwise the source's tags: BT.601, BT.709, full range, BT.2020, not stated.
@pytest.mark.parametrize(
    "height, width, tags, written",
    [
        (240, 320, None, ColorTags(6, 1, 6, 6)),
        (720, 1280, None, ColorTags(1, 1, 1, 1)),
        (240, 320, ColorTags(6, 1, 6, 6), ColorTags(6, 1, 6, 6)),
        (240, 320, ColorTags(1, 1, 1, 1), ColorTags(1, 1, 1, 1)),
        (240, 320, ColorTags(1, 2, 1, 1), ColorTags(1, 2, 1, 1)),
        (240, 320, ColorTags(6, 2, 6, 6), ColorTags(6, 2, 6, 6)),
        (240, 320, ColorTags(9, 1, 9, 14), ColorTags(9, 1, 9, 14)),
        (720, 1280, ColorTags(), ColorTags()),
    ],
)
def test_colours_and_tags_survive(tmp_path, height, width, tags, written):
    info = VideoInfo(width, height, Fraction(25), None, False, tags) if tags else None
    video = write_video(tmp_path / "out.mp4", 2, height=height, width=width, info=info)
    assert probe_video(video).color == written
    row, columns = patch_centres(height, width)
    frame = next(read_frames(video))
    assert np.abs(frame[row, columns].astype(int) - COLOURS).max() <= 3


def test_the_written_yuv_is_that_of_the_tagged_matrix(tmp_path):
    """Luma of red by the definitions of BT.601 and BT.709, in full and studio range."""
    for matrix, kr, full in ((6, 0.299, False), (1, 0.2126, False), (1, 0.2126, True)):
        info = VideoInfo(64, 64, Fraction(25), None, False, ColorTags(matrix, 2 if full else 1))
        with VideoWriter(tmp_path / "red.mp4", width=64, height=64, fps=25, info=info) as writer:
            writer.write(np.full((64, 64, 3), (255, 0, 0), np.uint8))
        with av.open(str(tmp_path / "red.mp4")) as container:
            luma = np.asarray(next(container.decode(video=0)).planes[0])[32]
        assert abs(int(luma) - (255 * kr if full else 16 + 219 * kr)) <= 2


@pytest.mark.parametrize("height, width", [(33, 49), (32, 49), (33, 48), (1, 1)])
def test_odd_sizes_are_padded_by_their_last_row_and_column(tmp_path, height, width):
    picture = np.linspace(0, 255, height * width).reshape(height, width, 1).repeat(3, axis=2).astype(np.uint8)
    with VideoWriter(tmp_path / "odd.mp4", width=width, height=height, fps=25, crf=1) as writer:
        writer.write(picture)
    frame = next(read_frames(tmp_path / "odd.mp4")).astype(int)
    assert frame.shape[:2] == (height + height % 2, width + width % 2)
    assert np.abs(frame[:height, :width] - picture).max() <= 6
    assert np.abs(frame[-1, :width] - picture[-1]).max() <= 6


def test_the_pixel_aspect_is_kept(tmp_path):
    info = VideoInfo(48, 32, Fraction(25), None, False, None, Fraction(16, 15))
    assert probe_video(write_video(tmp_path / "out.mp4", info=info)).pixel_aspect == Fraction(16, 15)


@pytest.mark.parametrize("seconds", [0.4, 1.2, 3.0])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("kind", ["sound.wav", "sound.m4a"])
def test_sound_lasts_as_long_as_the_pictures(tmp_path, kind, rate, seconds):
    codec = "aac" if kind.endswith("m4a") else "pcm_s16le"
    sound = write_sound(tmp_path / kind, seconds, rate, codec=codec)
    for fps, frame_count in ((25, 31), (NTSC, 40)):
        video = write_video(tmp_path / "out.mp4", frame_count, fps, audio=sound)
        durations = stream_durations(video)
        assert durations["video"] == pytest.approx(frame_count / fps, abs=1e-3)
        assert abs(durations["audio"] - durations["video"]) <= 1 / fps
        decoded, sampling_rate = read_audio(video)
        assert sampling_rate == rate
        assert abs(len(decoded) / rate - frame_count / fps) <= max(1 / fps, 1024 / rate)


@pytest.mark.parametrize("frame_count", range(40, 60, 3))
def test_sound_at_16_khz_also_decodes_to_within_a_frame(tmp_path, frame_count):
    sound = write_sound(tmp_path / "sound.wav", 2, 16000)
    video = write_video(tmp_path / "out.mp4", frame_count, audio=sound, audio_sampling_rate=16000, audio_channels=1)
    assert abs(stream_durations(video)["audio"] - frame_count / 25) <= 1 / 25
    assert abs(len(read_audio(video)[0]) - frame_count * 640) <= 640  # 640 samples a frame


def test_encoded_sound_is_the_source_then_silence(tmp_path):
    sound = write_sound(tmp_path / "sound.wav", 0.5, 16000)
    video = write_video(tmp_path / "out.mp4", 25, audio=sound)
    source, written = read_audio(sound)[0], read_audio(video)[0]
    error = written[:7800] - source[:7800]
    assert 10 * np.log10(np.mean(source**2) / np.mean(error**2)) > 30
    assert np.abs(written[9216:]).max() < 1e-3


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_packets_that_last_long_enough_are_copied(tmp_path, suffix):
    sound = write_sound(tmp_path / "sound.m4a", 3, 44100, 2, codec="aac")
    copied = sound_packets(write_video(tmp_path / f"out{suffix}", 31, audio=sound))
    original = sound_packets(sound)
    assert copied == original[: len(copied)]
    assert abs(len(copied) * 1024 / 44100 - 31 / 25) < 0.06


def test_sound_of_a_video_file_is_copied(tmp_path):
    first = write_video(tmp_path / "first.mp4", 31, audio=write_sound(tmp_path / "sound.m4a", 2, 48000, codec="aac"))
    second = write_video(tmp_path / "second.mov", 31, audio=first)
    assert sound_packets(second) == sound_packets(first)


def test_adts_sound_is_copied_into_mp4(tmp_path):
    sound = write_sound(tmp_path / "sound.aac", 2, 16000, codec="aac")
    video = write_video(tmp_path / "out.mp4", 31, audio=sound)
    assert abs(stream_durations(video)["audio"] - 31 / 25) <= 1 / 25
    assert read_audio(video)[1] == 16000


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_rate_and_channels_are_kept_when_encoding(tmp_path, channels):
    sound = write_sound(tmp_path / "sound.wav", 1, 22050, channels)
    with av.open(str(write_video(tmp_path / "out.mp4", audio=sound))) as container:
        context = container.streams.audio[0].codec_context
        assert (context.sample_rate, context.channels) == (22050, channels)


def test_reproduce_mode_is_the_channel_mean_at_16_khz(tmp_path):
    sound = write_sound(tmp_path / "sound.m4a", 1, 48000, 2, codec="aac")
    video = write_video(tmp_path / "out.mp4", audio=sound, audio_sampling_rate=16000, audio_channels=1)
    with av.open(str(video)) as container:
        context = container.streams.audio[0].codec_context
        assert (context.name, context.sample_rate, context.channels) == ("aac", 16000, 1)
    # The tone's amplitudes are 1/3 and 2/3, so the mean's is 1/2; FFmpeg's own downmix gives 0.71.
    tone = read_audio(video)[0][4000:12000]
    assert np.sqrt(2 * np.mean(tone**2)) == pytest.approx(0.5, abs=0.01)


def test_metadata_is_written(tmp_path):
    video = write_video(tmp_path / "out.mp4", metadata={"comment": "made by a test"})
    with av.open(str(video)) as container:
        assert container.metadata["comment"] == "made by a test"


def test_the_index_comes_first(tmp_path):
    content = write_video(tmp_path / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_failed_block_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "old.mp4").write_bytes(b"old")
    for name in ("old.mp4", "new.mp4"):
        with pytest.raises(KeyboardInterrupt):
            with VideoWriter(tmp_path / name, width=48, height=32, fps=25) as writer:
                writer.write(patches(32, 48))
                raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]
    assert (tmp_path / "old.mp4").read_bytes() == b"old"


def test_nothing_but_the_target_is_left(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"old")
    write_video(tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert probe_video(tmp_path / "out.mp4").width == 48


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    try:
        with pytest.raises(MediaError, match="out.mp4: cannot be written") as caught:
            with VideoWriter(tmp_path / "out.mp4", width=320, height=240, fps=25) as writer:
                for shift in range(40):
                    writer.write(np.roll(noise, 7 * shift, axis=0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_block_without_frames_is_an_error(tmp_path):
    with pytest.raises(MediaError, match="there is no frame"):
        write_video(tmp_path / "out.mp4", 0)
    assert not list(tmp_path.iterdir())


def test_wrong_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"uint8 \(32, 48, 3\), got float64 \(32, 48, 3\)"):
        with VideoWriter(tmp_path / "out.mp4", width=48, height=32, fps=25) as writer:
            writer.write(np.zeros((32, 48, 3)))


def test_impossible_sound_settings_are_refused(tmp_path):
    sound = write_sound(tmp_path / "sound.wav", 1, 8000)
    with pytest.raises(ValueError, match="audio_sampling_rate must be one of"):
        VideoWriter(tmp_path / "out.mp4", width=48, height=32, fps=25, audio=sound, audio_sampling_rate=1234)
    with pytest.raises(ValueError, match="audio_channels must be one of"):
        VideoWriter(tmp_path / "out.mp4", width=48, height=32, fps=25, audio=sound, audio_channels=99)


def test_a_soundtrack_without_sound_is_refused_before_the_first_frame(tmp_path):
    silent = write_video(tmp_path / "silent.mp4")
    with pytest.raises(NoAudioError):
        VideoWriter(tmp_path / "out.mp4", width=48, height=32, fps=25, audio=silent)


def test_impossible_targets_are_refused_with_one_line(tmp_path):
    source = tmp_path / "in.mp4"
    source.touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to(source)
    cases = {
        "out.avi": "cannot be written as .avi; end its name in .mp4, .m4v, .mov, .mkv",
        "out": "a file without suffix",
        "folder.mp4": "is a folder",
        "in.mp4": "is an input as well",
        "./folder.mp4/../in.mp4": "is an input as well",
        "link.mp4": "is an input as well",
        "missing/out.mp4": "its folder does not exist",
        "in.mp4/out.mp4": "cannot be written",
    }
    for name, reason in cases.items():
        with pytest.raises(MediaError, match=reason) as caught:
            check_output_path(tmp_path / name, None, source)
        assert "\n" not in str(caught.value)
    check_output_path(tmp_path / "out.MP4", source)


@pytest.mark.skipif(not Path("/proc/self").is_dir() and os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    folder = Path("/proc/self") if os.geteuid() == 0 else tmp_path  # even root makes no folder in /proc
    with pytest.raises(MediaError, match="cannot be written"):
        check_output_path(folder / "out.mp4")
