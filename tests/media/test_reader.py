import gc
from fractions import Fraction
from itertools import islice

import av
import numpy as np
import pytest
from helpers.numbered_clips import frame_number, noise, numbered_frame, write_clip, write_wav

from diff2lip_diffusers.errors import NoAudioError
from diff2lip_diffusers.media.reader import probe_video, read_audio, read_rgb

NTSC_FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)


def numbers(path, fps=None) -> list[int]:
    return [frame_number(picture) for picture in read_rgb(path, fps)]


def numbers_by_fps_filter(path, fps) -> list[int]:
    """What FFmpeg's own `fps` filter shows; time counts from the start of the file, as on its command line."""
    shown = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        steps = [graph.add_buffer(template=stream)]
        steps += [graph.add("setpts", f"PTS-{container.start_time / av.time_base}/TB")]
        steps += [graph.add("fps", f"fps={fps}"), graph.add("buffersink")]
        graph.link_nodes(*steps).configure()

        def pull():
            while True:
                try:
                    shown.append(frame_number(graph.pull().to_ndarray(format="rgb24")))
                except (av.error.BlockingIOError, av.error.EOFError):
                    return

        for frame in container.decode(stream):
            graph.push(frame)
            pull()
        graph.push(None)
        pull()
    return shown


FRAMES = [numbered_frame(number) for number in range(40)]
VARIABLE_TIMES = np.cumsum([0] + [20, 47, 33, 120, 5, 61, 40, 250, 33, 34] * 4)[:40].tolist()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("fps", [NTSC_FILM, 25, NTSC, 30, 60])
def test_a_clip_read_at_its_own_rate_gives_each_frame_once(tmp_path, fps, suffix):
    clip = write_clip(tmp_path / f"clip{suffix}", FRAMES, fps)
    assert probe_video(clip).fps == fps
    assert numbers(clip) == list(range(40))
    assert numbers(clip, fps) == list(range(40))


@pytest.mark.parametrize("start_ms", [0, 20, 500, 510])
def test_a_start_offset_drops_no_frame(tmp_path, start_ms):
    times = [start_ms + 40 * index for index in range(40)]
    clip = write_clip(tmp_path / "late.mkv", FRAMES, 25, times)
    assert numbers(clip) == list(range(40))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("source, target", [(30, 25), (NTSC, 25), (60, 25), (25, 30), (NTSC_FILM, 25), (25, NTSC)])
def test_rate_conversion_equals_the_fps_filter(tmp_path, source, target, suffix):
    clip = write_clip(tmp_path / f"clip{suffix}", FRAMES, source)
    assert numbers(clip, target) == numbers_by_fps_filter(clip, target)


@pytest.mark.parametrize("fps", [25, 30, 12.5])
@pytest.mark.parametrize("start_ms", [0, 20, 730])
def test_variable_rate_conversion_equals_the_fps_filter(tmp_path, fps, start_ms):
    clip = write_clip(tmp_path / "vfr.mkv", FRAMES, 30, [start_ms + time for time in VARIABLE_TIMES])
    assert numbers(clip, fps) == numbers_by_fps_filter(clip, fps)


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotation_is_applied(tmp_path, rotation):
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:32, :64], picture[32:, 64:] = 255, 128
    clip = write_clip(tmp_path / "turned.mp4", [picture] * 3, rotation=rotation)
    expected = np.rot90(picture, rotation // 90)
    frame = next(read_rgb(clip))
    assert np.abs(frame.astype(int) - expected).max() <= 6
    assert (probe_video(clip).height, probe_video(clip).width) == expected.shape[:2] == frame.shape[:2]


# Y, Cb, Cr come from the definitions of BT.601 (Kr 0.299, Kb 0.114), BT.709 and BT.2020; 2 is not stated: as BT.601.
@pytest.mark.parametrize("matrix, full_range", [(2, False), (6, False), (1, False), (1, True), (6, True), (9, False)])
def test_colors_are_decoded_with_the_stated_matrix_and_range(tmp_path, matrix, full_range):
    kr, kb = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}.get(matrix, (0.299, 0.114))
    rgb = np.array([200, 60, 90]) / 255
    luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    chroma = (rgb[2] - luma) / (2 - 2 * kb), (rgb[0] - luma) / (2 - 2 * kr)
    scale, offset, chroma_scale = (255, 0, 255) if full_range else (219, 16, 224)
    values = [round(offset + scale * luma), *(round(128 + chroma_scale * part) for part in chroma)]
    planes = np.concatenate([np.full(size, value, np.uint8) for size, value in zip((64, 16, 16), values, strict=True)])
    with av.open(str(tmp_path / "patch.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25, width=8, height=8, options={"qp": "0"})
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full_range else 1
        out.mux(stream.encode(av.VideoFrame.from_ndarray(planes.reshape(12, 8), format="yuv420p")))
        out.mux(stream.encode(None))
    assert np.abs(next(read_rgb(tmp_path / "patch.mp4")) - rgb * 255).max() <= 2


def test_a_single_short_frame_is_shown_once(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", FRAMES[7:8], 60)
    assert numbers(clip) == numbers(clip, 25) == [7]


def test_a_caller_may_paint_into_repeated_frames(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", FRAMES[:2], 10)
    for picture in read_rgb(clip, 40):
        assert picture.flags.writeable and frame_number(picture) < 2
        picture[:] = 255


def test_damaged_packets_are_skipped_and_the_last_good_frame_stays(tmp_path, caplog):
    clip = write_clip(tmp_path / "clip.mkv", FRAMES, codec="mpeg4")
    with av.open(str(clip)) as source, av.open(str(tmp_path / "damaged.mkv"), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for index, packet in enumerate(packet for packet in source.demux() if packet.size):
            if index in (10, 11):
                broken = av.Packet(bytes(packet.size))
                broken.pts, broken.dts, broken.time_base = packet.pts, packet.dts, packet.time_base
                packet = broken
            packet.stream = stream
            out.mux(packet)
    seen = numbers(tmp_path / "damaged.mkv")
    assert len(seen) == 40 and seen[:12] == [*range(10), 9, 9] and seen[-1] == 39


def test_a_truncated_clip_ends_early(tmp_path):
    clip = write_clip(tmp_path / "clip.ts", FRAMES)
    (tmp_path / "cut.ts").write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    seen = numbers(tmp_path / "cut.ts")
    assert 5 < len(seen) < 40 and seen == list(range(len(seen)))


@pytest.mark.parametrize("starts_h", [(0, 0), (0, 1), (1, 0), (0, 20), (20, 0)])
def test_frames_go_on_at_once_where_the_clock_jumps(tmp_path, starts_h):
    parts = []
    for start_h, frames in zip(starts_h, (FRAMES[:20], FRAMES[20:]), strict=True):
        times = [start_h * 3_600_000 + 40 * index for index in range(20)]
        parts.append(write_clip(tmp_path / "part.ts", frames, times=times).read_bytes())
    (tmp_path / "both.ts").write_bytes(b"".join(parts))
    assert numbers(tmp_path / "both.ts", 25) == list(range(40))
    assert numbers(tmp_path / "both.ts", 50) == [number for number in range(40) for _ in range(2)]


def test_a_pause_of_seconds_is_no_jump_of_the_clock(tmp_path):
    clip = write_clip(tmp_path / "clip.mkv", FRAMES[:2], times=[0, 5000])
    assert numbers(clip, 25) == [0] * 125 + [1]


@pytest.mark.parametrize("channels, layout", [(1, "mono"), (2, "stereo"), (6, "5.1")])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_audio_is_the_plain_mean_over_channels(tmp_path, channels, layout, rate):
    samples = noise(channels, rate // 2)
    audio, sampling_rate = read_audio(write_wav(tmp_path / "audio.wav", samples, rate, layout))
    assert sampling_rate == rate and audio.dtype == np.float32
    np.testing.assert_allclose(audio, samples.mean(axis=0) / 32768, rtol=0, atol=1e-7)


def test_opposite_channels_give_silence(tmp_path):
    left = noise(1, 4000)
    audio, _ = read_audio(write_wav(tmp_path / "audio.wav", np.concatenate([left, -left]), 8000, "stereo"))
    assert not audio.any()


def test_audio_that_starts_late_gets_leading_silence(tmp_path):
    samples = noise(1, 8000)
    clip = write_clip(tmp_path / "late.mkv", FRAMES, audio=(samples, 8000), audio_start=4000)
    audio, _ = read_audio(clip)
    assert not audio[:4000].any()
    np.testing.assert_array_equal(audio[4000:], samples[0] / np.float32(32768))


def test_audio_before_the_first_frame_is_cut(tmp_path):
    samples = noise(1, 16000)
    clip = write_clip(tmp_path / "late.mkv", FRAMES, times=[500 + 40 * i for i in range(40)], audio=(samples, 8000))
    np.testing.assert_array_equal(read_audio(clip)[0], samples[0, 4000:] / np.float32(32768))


def test_probe_says_whether_there_is_audio(tmp_path):
    assert not probe_video(write_clip(tmp_path / "silent.mp4", FRAMES)).has_audio
    info = probe_video(write_clip(tmp_path / "audio.mkv", FRAMES, audio=(noise(1, 8000), 8000)))
    assert info.has_audio and info.duration_s == pytest.approx(1.6, abs=0.01)


def test_a_silent_video_is_refused(tmp_path):
    with pytest.raises(NoAudioError, match="no audio stream"):
        read_audio(write_clip(tmp_path / "silent.mp4", FRAMES))


def test_fps_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="fps must be positive, got 0"):
        read_rgb(tmp_path / "any.mp4", 0)


def test_frames_are_let_go_one_by_one(tmp_path):
    """Without the garbage collector's help: a cycle per frame would hold hundreds of megabytes of an HD clip."""
    clip = write_clip(tmp_path / "clip.mp4", FRAMES)
    gc.collect()
    gc.disable()
    try:
        some = islice(read_rgb(clip), 0, None, 10)
        alive = [sum(type(thing) is av.VideoFrame for thing in gc.get_objects()) for _ in some]
    finally:
        gc.enable()
    assert max(alive) < 25 and alive[-1] <= alive[1]
