"""Odd and damaged media files, each with the expected result.

`PYTHONPATH=tests python -m helpers.torture_set FOLDER` writes them all. The expectations are written by hand
and follow from how the files are made; the package is not used.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from helpers.torture_makers import (
    COUNT,
    ONSET_S,
    SIZE,
    SPEECH_S,
    AudioStream,
    Maker,
    VideoStream,
    bytes_of,
    changed,
    copy_of,
    cut_in_packet,
    dangling_link,
    deep_png,
    folder,
    from_packet,
    joined,
    keep_share,
    media,
    named_pipe,
    numbered,
    overwrite_cluster_of,
    overwrite_middle,
    overwrite_packets,
    several_in_one,
    start_at,
    still,
    subtitled,
    wav_length,
    with_suffix,
    without_codec_of_last_audio,
    without_codec_of_video,
    without_packets,
    without_stated_rate,
    yuv4mpeg,
    zeros_from_packet,
)

FILM, NTSC, NTSC_60 = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)
FACE, SPEECH = "face.mp4", "speech.wav"
# FFmpeg's numbers: matrix, range, primaries, transfer.
BT601, BT709, HLG, PQ = (6, 1, 6, 6), (1, 1, 1, 1), (9, 1, 9, 18), (9, 1, 9, 16)
X265 = {"x265-params": "log-level=none:pools=none:frame-threads=1", "preset": "ultrafast", "crf": "12"}
ALL_INTRA = {"g": "1", "bf": "0"}


# What is to come out


@dataclass(frozen=True)
class Result:
    """An expected output: the source frame that each frame shows, and properties of the file.

    None in `seen` allows any frame. The tone starts at `onset_s`, within `onset_off_s`; None skips this check. Colors
    may differ by up to `color_levels`.
    """

    seen: Sequence[int | None] = range(COUNT)
    fps: Fraction | int = 25
    size: tuple[int, int] = SIZE
    audio: str = "aac 44100 Hz stereo"
    onset_s: float | None = ONSET_S
    onset_off_s: float = 0.03
    aspect: Fraction | int = 1
    color_levels: int = 16


@dataclass(frozen=True)
class Case:
    """A file and its expected result: an output, or an error line that matches a pattern.

    `role` is how the file is used: as "video", with a plain recording; as "audio", with a plain video; as "both".
    """

    name: str
    special: str
    make: Maker
    expected: Result | str
    role: str = "both"
    options: dict = field(default_factory=dict)


def both(name: str, special: str, make: Maker, **expected) -> Case:
    return Case(name, special, make, Result(**expected))


def video(name: str, special: str, make: Maker, options: dict | None = None, **expected) -> Case:
    """Used with the plain recording."""
    result = Result(**{"audio": "aac 16000 Hz mono"} | expected)
    return Case(name, special, make, result, "video", options or {})


def audio(name: str, special: str, make: Maker, **expected) -> Case:
    """Used with the plain video."""
    return Case(name, special, make, Result(**expected), "audio")


def refused(name: str, special: str, make: Maker, line: str, role: str = "video") -> Case:
    return Case(name, special, make, line, role)


V, A = VideoStream, AudioStream
SILENCE = AudioStream(onset_s=SPEECH_S)
WAV = AudioStream("pcm_s16le", 16000, "mono")
LONG_NAME = "n" * 250 + ".mp4"
PLAIN = {FACE: media(V()), SPEECH: media(WAV)}
VP9 = {"deadline": "realtime", "cpu-used": "8"}
# 30 frames per second as from a phone: in 1/600 s, each up to 1/600 s early or late.
PHONE_TIMES = (0, 20, 41, 60, 79, 100, 120, 141, 160, 180, 199, 220)
# A screen recorder writes a frame only when something changes; times in ms.
SCREEN_TIMES = (0, 33, 67, 100, 600, 633, 667, 1100, 1133, 1167, 1200, 1233)
SCREEN_SEEN = (0, 1, 2, *[3] * 15, 4, 5, *[6] * 13, 7, 8, 9, 10, 11)
BROWSER_TIMES = (0, 33, 67, 100, 133, 167, 200, 233, 267, 300, 333, 367)

RATES = (
    both("rate 23.976.mp4", "24000/1001 frames/s", media(V(FILM), A(seconds=0.5)), fps=FILM),
    both("rate 24.mp4", "24 frames/s", media(V(24), A(seconds=0.5)), fps=24),
    both("rate 25.mp4", "25 frames/s", media(V(), A())),
    both("rate 29.97.mp4", "30000/1001 frames/s", media(V(NTSC), A()), fps=NTSC),
    both("rate 30.mp4", "30 frames/s", media(V(30), A()), fps=30),
    both("rate 50.mp4", "50 frames/s", media(V(50, range(20)), A()), fps=50, seen=range(20)),
    both("rate 59.94.mp4", "60000/1001 frames/s", media(V(NTSC_60, range(20)), A()), fps=NTSC_60, seen=range(20)),
    both("rate 60.mp4", "60 frames/s", media(V(60, range(20)), A()), fps=60, seen=range(20)),
    both("rate 240.mp4", "240 frames/s, slow motion", media(V(240, range(60)), A()), fps=240, seen=range(60)),
    both("rate 1.mp4", "1 frame/s, time lapse", media(V(1, range(3)), A(seconds=3)), fps=1, seen=range(3)),
    video(
        "rate 60 to 25.mp4",
        "60 frames/s, asked for 25",
        media(V(60, range(24))),
        {"fps": 25},
        seen=(1, 3, 5, 8, 10, 13, 15, 17, 20, 22),
    ),
    video(
        "rate 23.976 to 30.mp4",
        "24000/1001 frames/s, asked for 30",
        media(V(FILM)),
        {"fps": 30},
        fps=30,
        seen=(0, 1, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 9, 10, 11),
    ),
    video(
        "variable.mkv",
        "variable rate, in ms",
        media(
            V(25, times=[0, 40, 80, 130, 240, 280, 320, 360, 400, 440], numbers=range(10), time_base=Fraction(1, 1000))
        ),
        seen=(0, 1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9),
    ),
    video(
        "variable.mp4",
        "variable rate, asked for 25 frames/s",
        media(V(30, times=[0, 33, 67, 200, 233, 267, 300, 367], numbers=range(8), time_base=Fraction(1, 1000))),
        {"fps": 25},
        seen=(0, 1, 2, 2, 2, 3, 4, 5, 6, 7),
    ),
    video(
        "screen recording.mkv",
        "frames only when something changes, 30 frames/s stated",
        media(V(30, times=SCREEN_TIMES, time_base=Fraction(1, 1000))),
        fps=30,
        seen=SCREEN_SEEN,
    ),
    video(
        "screen recording.mp4",
        "frames only when something changes, asked for 30 frames/s",
        media(V(30, times=SCREEN_TIMES, time_base=Fraction(1, 1000))),
        {"fps": 30},
        fps=30,
        seen=SCREEN_SEEN,
    ),
    both(
        "browser.webm",
        "times in ms, no rate stated, as from browsers",
        changed(
            media(
                V(30, codec="libvpx-vp9", coder=VP9, times=BROWSER_TIMES, time_base=Fraction(1, 1000)),
                A("libopus", 48000),
            ),
            without_stated_rate,
        ),
        fps=30,
        audio="opus 48000 Hz stereo",
    ),
    both(
        "browser live.webm",
        "no duration and no index, as from browsers",
        media(V(codec="libvpx", coder=VP9), A("libopus", 48000), live="1"),
        audio="opus 48000 Hz stereo",
    ),
    video(
        "times twice.mkv",
        "two frames at the same time: the later one is shown",
        media(V(numbers=range(6), times=[0, 40, 80, 80, 160, 200], time_base=Fraction(1, 1000))),
        seen=(0, 1, 3, 3, 4, 5),
        onset_s=None,
    ),
    both(
        "phone.mov",
        "HEVC 10-bit HLG, rotated, slightly variable rate, as from an iPhone",
        media(
            V(
                30,
                codec="libx265",
                pix_fmt="yuv420p10le",
                coder=X265,
                tags=HLG,
                tag="hvc1",
                rotation=-90,
                time_base=Fraction(1, 600),
                times=PHONE_TIMES,
                size=(96, 128),
            ),
            A(layout="mono"),
        ),
        fps=Fraction(359, 12),  # the average that the file states
        size=(96, 128),
        audio="aac 44100 Hz mono",
    ),
)

STARTS = (
    both(
        "starts late.mkv",
        "video and audio start at 0.5 s",
        media(V(times=range(500, 980, 40), time_base=Fraction(1, 1000)), A(start_s=0.5)),
    ),
    both(
        "video late.mkv",
        "the video starts 0.4 s after the audio",
        media(V(times=range(400, 880, 40), time_base=Fraction(1, 1000)), A(seconds=0.9, onset_s=0.6)),
    ),
    both(
        "video late.mp4",
        "the video starts 0.4 s after the audio",
        media(V(times=range(10, 22), time_base=Fraction(1, 25)), A(seconds=0.9, onset_s=0.6)),
    ),
    both(
        "audio late.mkv",
        "the audio starts 0.2 s after the video",
        media(V(), A(start_s=0.2, onset_s=0.1, seconds=0.28)),
        onset_s=0.3,
    ),
    both(
        "audio late.mp4",
        "the audio starts 0.2 s after the video",
        media(V(), A(start_s=0.2, onset_s=0.1, seconds=0.28)),
        onset_s=0.3,
    ),
    both(
        "trimmed.mp4",
        "an edit list hides the first 4 frames",
        changed(media(V(coder={"bf": "0"}, codec="libx264"), A()), start_at(4)),
        seen=range(4, 12),
    ),
    both(
        "hours.ts",
        "a broadcast: its clock wraps around after 0.2 s",
        media(V(), A(), output_ts_offset=str(2**33 / 90000 - 0.2)),
    ),
    both(
        "switched on.ts",
        "a broadcast whose reception starts in the middle of a group of frames",
        changed(
            media(V(numbers=range(20), coder={"g": "8", "bf": "0", "sc_threshold": "0"}), A(seconds=0.8, onset_s=0.5)),
            from_packet(3),
        ),
        seen=range(8, 20),
        onset_s=0.5 - 8 / 25,
    ),
)

SHAPES = (
    *(
        video(
            f"rotated {degrees}.mp4",
            f"rotated by {degrees}°",
            media(V(rotation=degrees, size=size)),
            size=size,
        )
        for degrees, size in ((90, (96, 128)), (180, SIZE), (270, (96, 128)))
    ),
    video("mirrored.mp4", "a mirroring display matrix", media(V(mirrored=True))),
    video(
        "mirrored rotated.mp4",
        "mirrored and rotated, as from front cameras",
        media(V(rotation=90, mirrored=True, size=(96, 128))),
        size=(96, 128),
    ),
    video("pixels 4-3.mp4", "pixels wider than high, 4:3", media(V(aspect=Fraction(4, 3))), aspect=Fraction(4, 3)),
    video(
        "pixels 4-3 rotated.mp4",
        "pixels of 4:3, rotated",
        media(V(aspect=Fraction(4, 3), rotation=90, size=(96, 128))),
        size=(96, 128),
        aspect=Fraction(3, 4),
    ),
    video("odd 129x97.mp4", "odd width and height", media(V(size=(129, 97), pix_fmt="yuv444p")), size=(130, 98)),
    video("odd 129x97.mkv", "odd width and height, 4:2:0", media(V(size=(129, 97), codec="ffv1")), size=(130, 98)),
    video(
        "odd rotated.mkv",
        "odd width and height, rotated",
        media(V(size=(97, 129), codec="ffv1", rotation=90)),
        size=(98, 130),
    ),
    refused("one pixel.mkv", "1x1 pixel", media(V(size=(1, 1), codec="ffv1", pix_fmt="bgr0")), "of 1x1"),
    refused("two pixels.mp4", "2x2 pixels", media(V(size=(2, 2))), "of 2x2"),
    video(
        "changing size.ts",
        "the size changes: frames are scaled to the size of the first",
        joined(
            media(V(coder=ALL_INTRA, numbers=range(6), times=range(6))),
            media(V(coder=ALL_INTRA, numbers=range(6, 12), times=range(6, 12), size=(160, 120))),
        ),
    ),
    video(
        "interlaced.mkv",
        "interlaced: kept as it is",
        media(V(coder={"flags": "+ildct+ilme", "x264-params": "tff=1"})),
    ),
    video(
        "two videos.mkv", "two video streams: the first is used", media(V(), V(numbers=range(20, 32), size=(64, 48)))
    ),
    both("cover.mp4", "cover art beside the video", media(V(), A(), cover_first=True)),
    both("cover.mkv", "cover art as an attachment", media(V(), A(), cover_first=True)),
)

COLORS_AND_CODECS = (
    video("bt709.mp4", "BT.709 colors", media(V(tags=BT709))),
    video("bt601.mp4", "BT.601 colors", media(V(tags=BT601))),
    video("full range.mp4", "0-255 instead of 16-235", media(V(tags=(1, 2, 1, 1), pix_fmt="yuvj420p"))),
    video("full range.avi", "motion JPEG, as cameras record it", media(V(codec="mjpeg", pix_fmt="yuvj422p"))),
    video("h264 10 bit.mp4", "H.264 with 10 bits", media(V(pix_fmt="yuv420p10le"))),
    video(
        "hdr pq.mkv",
        "HEVC 10-bit, BT.2020 and PQ: kept",
        media(V(codec="libx265", pix_fmt="yuv420p10le", coder=X265, tags=PQ)),
    ),
    video("4-2-2.mp4", "H.264 4:2:2", media(V(pix_fmt="yuv422p"))),
    video("4-4-4.mp4", "H.264 4:4:4", media(V(pix_fmt="yuv444p"))),
    video("rgb.mkv", "lossless RGB", media(V(codec="ffv1", pix_fmt="bgr0"))),
    video("rgb 16 bit.mkv", "lossless RGB with 16 bits", media(V(codec="ffv1", pix_fmt="gbrp16le"))),
    video("gray.mkv", "black and white", media(V(codec="ffv1", pix_fmt="gray")), color_levels=256),
    video(
        "gray 10 bit.mkv", "black and white with 10 bits", media(V(codec="ffv1", pix_fmt="gray10le")), color_levels=256
    ),
    video("alpha.mkv", "with alpha, which is dropped", media(V(codec="ffv1", pix_fmt="yuva420p"))),
    video("alpha.mov", "Animation codec with alpha", media(V(codec="qtrle", pix_fmt="argb"))),
    video("prores.mov", "ProRes 4:2:2 10-bit", media(V(codec="prores_ks", pix_fmt="yuv422p10le"))),
    video("prores 4444.mov", "ProRes with alpha", media(V(codec="prores_ks", pix_fmt="yuva444p10le"))),
    video("hevc.mp4", "HEVC", media(V(codec="libx265", coder=X265))),
    video("av1.mp4", "AV1", media(V(codec="libsvtav1", coder={"preset": "12", "crf": "10"}))),
    video("h264.avi", "H.264 with B frames in AVI", media(V())),
    video("stream.mjpeg", "motion JPEG without a container", media(V(codec="mjpeg", pix_fmt="yuvj420p"))),
    video("mpeg4.avi", "MPEG-4 part 2", media(V(codec="mpeg4"))),
    video(
        "xvid.avi",
        "MPEG-4 with B frames, in a container without presentation times",
        media(V(codec="mpeg4", coder={"bf": "2"})),
    ),
    video("raw.avi", "uncompressed, stored upside down", media(V(codec="rawvideo", pix_fmt="bgr24"))),
)

CONTAINERS = (
    both(
        "web.webm",
        "VP9 and Opus",
        media(V(codec="libvpx-vp9", coder=VP9), A("libopus", 48000)),
        audio="opus 48000 Hz stereo",
    ),
    both(
        "web old.webm",
        "VP8 and Opus",
        media(V(codec="libvpx", coder=VP9), A("libopus", 48000, "mono")),
        audio="opus 48000 Hz mono",
    ),
    both("film.mkv", "Matroska with FLAC", media(V(), A("flac", 48000)), audio="aac 48000 Hz stereo"),
    both("film.avi", "AVI with AC-3", media(V(codec="mpeg4"), A("ac3", 48000)), audio="ac3 48000 Hz stereo"),
    both("camera.mov", "QuickTime with PCM", media(V(), A("pcm_s16le", 48000)), audio="aac 48000 Hz stereo"),
    both(
        "broadcast.ts",
        "transport stream with MPEG-2 video and audio",
        media(V(codec="mpeg2video"), A("mp2", 48000)),
        audio="aac 48000 Hz stereo",
    ),
    both(
        "camcorder.m2ts",
        "AVCHD: transport stream with AC-3",
        media(V(), A("ac3", 48000), container="mpegts", mpegts_m2ts_mode="1"),
        audio="ac3 48000 Hz stereo",
    ),
    both(
        "disc.mpg",
        "program stream with MPEG-2",
        media(V(codec="mpeg2video"), A("mp2", 48000)),
        audio="aac 48000 Hz stereo",
    ),
    both(
        "old phone.3gp",
        "H.263 and AMR; its pixels are 12:11",
        media(V(codec="h263", size=(176, 144)), A("amr_nb", 8000, "mono")),
        size=(176, 144),
        aspect=Fraction(12, 11),
        audio="aac 8000 Hz mono",
    ),
    both("flash.flv", "Flash video", media(V(codec="flv"), A("libmp3lame")), audio="mp3 44100 Hz stereo"),
    both("windows.wmv", "Windows Media", media(V(codec="wmv2"), A("adpcm_ms")), audio="aac 44100 Hz stereo"),
    both(
        "studio.mxf",
        "MXF",
        media(V(codec="mpeg2video", size=(160, 128)), A("pcm_s16le", 48000, "mono")),
        size=(160, 128),
        audio="aac 48000 Hz mono",
    ),
    both(
        "tape.avi",
        "DV: 720x576, interlaced, pixels of 16:15",
        media(V(codec="dvvideo", size=(720, 576), aspect=Fraction(16, 15)), A("pcm_s16le", 48000)),
        size=(720, 576),
        audio="aac 48000 Hz stereo",
        aspect=Fraction(16, 15),
    ),
    both(
        "fragmented.mp4",
        "a fragmented mp4, as from streaming sites and recorders",
        media(V(), A(), movflags="frag_keyframe+empty_moov"),
    ),
    both("subtitles.mkv", "with subtitles", subtitled(media(V(), A()))),
    both("timecode.mov", "with a timecode track, as from cameras", media(V(), A(), timecode="01:00:00:00")),
    both(
        "spatial audio.mov",
        "a second audio track with an unknown codec, as from new iPhones",
        changed(media(V(), A(), A(layout="mono")), without_codec_of_last_audio),
    ),
    video("stream.h265", "HEVC without a container", media(V(codec="libx265", coder=X265), container="hevc")),
    video("stream.h264", "H.264 without a container: no times, 25 frames/s by FFmpeg's rule", media(V())),
    video("stream.y4m", "YUV4MPEG", yuv4mpeg, fps=30),
    video("animated.gif", "GIF with 10 frames/s", media(V(10, codec="gif", pix_fmt="pal8")), fps=10),
    video(
        "animated.png", "animated PNG with alpha", media(V(10, codec="apng", pix_fmt="rgba"), container="apng"), fps=10
    ),
)

AUDIO_IN_VIDEO = (
    refused("no audio.mp4", "a video without audio, and no recording", media(V()), "has no audio stream", "both"),
    both("audio 5.1.mp4", "six channels", media(V(), A(layout="5.1")), audio="aac 44100 Hz 5.1"),
    Case(
        "audio 7.1.mkv",
        "eight channels",
        media(V(), A("flac", 48000, "7.1")),
        Result(audio="aac 48000 Hz 7.1"),
    ),
    both(
        "audio 6.1.mkv",
        "seven channels, for which AAC has no layout: their mean",
        media(V(), A("flac", 48000, "6.1")),
        audio="aac 48000 Hz mono",
    ),
    refused(
        "audio empty.mp4", "an audio stream without packets", media(V(), A(seconds=0)), "has no audio stream", "both"
    ),
    refused(
        "audio before.mkv",
        "the audio ends before the first frame",
        media(V(times=range(1000, 1480, 40), time_base=Fraction(1, 1000)), A()),
        "its audio lasts 0.000 s",
        "both",
    ),
    both(
        "audio changes.ts",
        "two channels, then one, as in broadcasts: the output has the number that FFmpeg states",
        joined(
            media(V(), A("mp2", 48000, onset_s=SPEECH_S)),
            media(
                V(numbers=range(12, 24)),
                A("mp2", 48000, "mono"),
            ),
        ),
        seen=range(24),
        audio="aac 48000 Hz mono",
        onset_s=SPEECH_S + ONSET_S,
    ),
    both("audio 8 kHz.mp4", "8 kHz", media(V(), A(rate=8000, layout="mono")), audio="aac 8000 Hz mono"),
    both("audio longer.mp4", "audio longer than the video: cut", media(V(), A(seconds=1.5))),
    both("audio shorter.mp4", "audio shorter than the video: silence behind it", media(V(), A(seconds=0.3))),
    both(
        "two audio streams.mp4",
        "two audio streams: the default one is used",
        media(V(), A(), A(rate=22050, layout="mono", onset_s=0.4)),
    ),
    both(
        "audio with a gap.mkv",
        "a gap in the audio: becomes silence",
        media(V(codec="ffv1"), A("pcm_s16le", onset_s=0.3, hole_s=(0.1, 0.2))),
        onset_s=0.3,
    ),
)

RECORDINGS = (
    audio("speech 24 bit.wav", "24 bits", media(A("pcm_s24le", 48000)), audio="aac 48000 Hz stereo"),
    audio("speech float.wav", "32-bit float", media(A("pcm_f32le", 48000)), audio="aac 48000 Hz stereo"),
    audio("speech 8 bit.wav", "8 bits, 11 kHz", media(A("pcm_u8", 11025, "mono")), audio="aac 11025 Hz mono"),
    audio(
        "speech a-law.wav",
        "A-law, 8 kHz, as from telephones",
        media(A("pcm_alaw", 8000, "mono")),
        audio="aac 8000 Hz mono",
    ),
    audio("speech adpcm.wav", "ADPCM", media(A("adpcm_ms", 22050, "mono")), audio="aac 22050 Hz mono"),
    audio("speech 96 kHz.wav", "96 kHz", media(A("pcm_s24le", 96000)), audio="aac 96000 Hz stereo"),
    audio(
        "speech 192 kHz.wav",
        "192 kHz: more than AAC supports",
        media(A("pcm_s24le", 192000, "mono")),
        audio="aac 96000 Hz mono",
    ),
    audio("speech 5.1.wav", "six channels", media(A("pcm_s16le", 48000, "5.1")), audio="aac 48000 Hz 5.1"),
    audio(
        "speech from a pipe.wav",
        "states no length",
        changed(media(WAV), wav_length(0xFFFFFFFF)),
        audio="aac 16000 Hz mono",
    ),
    audio(
        "speech cut off.wav",
        "states more audio than there is",
        changed(media(WAV), keep_share(0.8)),
        audio="aac 16000 Hz mono",
    ),
    audio(
        "cover.mp3",
        "MP3, 44.1 kHz mono, with cover art",
        media(A("libmp3lame", layout="mono"), cover_first=True),
        audio="mp3 44100 Hz mono",
    ),
    audio(
        "noise in the middle.mp3",
        "MP3 with damaged bytes",
        changed(media(A("libmp3lame")), overwrite_middle(0.05)),
        audio="aac 44100 Hz stereo",
    ),
    audio("speech.m4a", "AAC", media(A(layout="mono"), container="mp4"), audio="aac 44100 Hz mono"),
    audio(
        "cover.m4a",
        "Apple Lossless with cover art",
        media(A("alac"), cover_first=True, container="mp4"),
        audio="alac 44100 Hz stereo",
    ),
    audio("speech.aac", "AAC without a container", media(A()), audio="aac 44100 Hz stereo"),
    audio(
        "speech.flac",
        "FLAC with cover art",
        media(A("flac", 48000, "mono"), cover_first=True),
        audio="aac 48000 Hz mono",
    ),
    audio("speech.opus", "Opus", media(A("libopus", 48000, "mono")), audio="opus 48000 Hz mono"),
    audio("speech vorbis.ogg", "Ogg Vorbis", media(A("vorbis"))),
    audio(
        "speech.wma",
        "Windows Media; FFmpeg's encoder does not state its delay of 46 ms",
        media(A("wmav2")),
        onset_off_s=0.05,
    ),
    audio("speech.caf", "Apple's Core Audio format", media(A("alac", layout="mono")), audio="alac 44100 Hz mono"),
    audio("speech e-ac-3.mp4", "E-AC-3", media(A("eac3", 48000)), audio="eac3 48000 Hz stereo"),
    audio("speech mp3.wav", "MP3 inside of WAV", media(A("libmp3lame")), audio="mp3 44100 Hz stereo"),
    audio(
        "joined.mp3",
        "two recordings joined with `cat`",
        joined(
            media(A("libmp3lame", seconds=0.2, onset_s=0.2)), media(A("libmp3lame", onset_s=0.1), id3v2_version="0")
        ),
        audio="mp3 44100 Hz stereo",
        onset_s=None,
    ),
    audio("speech.ogg", "Ogg FLAC", media(A("flac", 44100)), audio="aac 44100 Hz stereo"),
    audio("speech.amr", "AMR, as from old phones", media(A("amr_nb", 8000, "mono")), audio="aac 8000 Hz mono"),
    audio("speech.aiff", "AIFF", media(A("pcm_s16be", 44100, "mono")), audio="aac 44100 Hz mono"),
    audio("voice message.webm", "Opus from a browser", media(A("libopus", 48000, "mono")), audio="opus 48000 Hz mono"),
    audio("audio of a video.mp4", "a video as the recording", media(V(numbers=range(20, 32)), A())),
    audio(
        "speech late.mkv",
        "starts at 0.1 s: time counts from there, as there are no frames",
        media(A("pcm_s16le", start_s=0.1)),
    ),
    refused(
        "speech 0.1 s.wav", "less than 0.2 s", media(A("pcm_s16le", 16000, "mono", 0.1)), "lasts 0.100 s", "audio"
    ),
    refused(
        "speech 0 s.wav",
        "no audio samples",
        media(A("pcm_s16le", 16000, "mono", 0)),
        "no audio that can be decoded",
        "audio",
    ),
    refused("no speech.mp4", "a video without audio as the recording", media(V()), "has no audio stream", "audio"),
    refused("not audio.wav", "text", bytes_of(b"This is no audio.\n" * 30), "is not a video or audio file", "audio"),
    refused("image.png", "an image as the recording", still(), "of a known kind", "audio"),
)

DAMAGED = (
    video("one frame.mp4", "a single frame", media(V(numbers=[7])), seen=[7], onset_s=None),
    refused("no frame.mp4", "0 frames", media(V(numbers=[])), "."),
    refused("no frame.avi", "0 frames", media(V(numbers=[], codec="mpeg4")), "."),
    refused("empty.mp4", "0 bytes", bytes_of(b""), "is empty"),
    refused("text.mp4", "text", bytes_of(b"This is no video.\n" * 30), "is not a video or audio file"),
    refused(
        "page.mp4",
        "a web page saved instead of the video",
        bytes_of(b"<!DOCTYPE html><html><body>Please log in</body></html>\n"),
        "is not a video or audio file",
    ),
    refused("notes.txt", "text", bytes_of(b"This is no video.\n" * 30), "is not a video or audio file"),
    refused("zeros.mp4", "10,000 zeros", bytes_of(bytes(10_000)), "is not a video or audio file"),
    refused("folder.mp4", "a folder", lambda path: path.mkdir(), "is a folder"),
    refused("missing.mp4", "does not exist", lambda path: None, "no such file"),
    refused("link.mp4", "a link to nowhere", dangling_link, "no such file"),
    refused("speech.wav as the video.wav", "audio only", media(WAV), "has no video stream"),
    refused(
        "cover as the video.mp3",
        "audio with cover art only",
        media(A("libmp3lame"), cover_first=True),
        "has no video stream",
    ),
    refused(
        "cut off.mp4",
        "an mp4 without its end, where the index is",
        changed(media(V(), A()), keep_share(0.6)),
        "is not a video or audio file",
    ),
    both(
        "cut off, index in front.mp4",
        "an mp4 without its end, index in front",
        changed(media(V(coder=ALL_INTRA), A(seconds=0.3, onset_s=0.1), movflags="faststart"), cut_in_packet(8)),
        seen=range(8),
        onset_s=0.1,
    ),
    video(
        "cut off.mkv",
        "a recording that stopped early",
        changed(media(V(coder=ALL_INTRA)), cut_in_packet(8)),
        seen=range(8),
    ),
    video(
        "cut off.ts",
        "a recording that stopped early",
        changed(media(V(coder=ALL_INTRA)), cut_in_packet(8)),
        seen=range(8),
    ),
    video(
        "damaged frames.mp4",
        "two damaged frames: the last good one is shown",
        changed(media(V(numbers=range(32), coder=ALL_INTRA)), overwrite_packets(5, 6)),
        seen=(*range(5), 4, 4, *range(7, 32)),
    ),
    video(
        "damaged first frames.mp4",
        "the first two frames are damaged",
        changed(media(V(numbers=range(32), coder=ALL_INTRA)), overwrite_packets(0, 1)),
        seen=range(2, 32),
    ),
    video(
        "damaged last frames.mp4",
        "damaged frames near the end",
        changed(media(V(coder=ALL_INTRA)), overwrite_packets(5, 6)),
        seen=(0, 1, 2, 3, 4, 4, 4, 7, 8, 9, 10, 11),
    ),
    video(
        "damaged prediction.mp4",
        "a damaged frame that others are predicted from: wrong until the next key frame",
        changed(
            media(V(numbers=range(32), coder={"bf": "0", "g": "8", "sc_threshold": "0"})),
            overwrite_packets(5),
        ),
        seen=(*range(5), 4, None, None, *range(8, 32)),
        color_levels=256,
    ),
    video(
        "damaged structure.mkv",
        "zeros in the middle, in the structure too",
        changed(media(V(coder=ALL_INTRA), cluster_time_limit="70"), overwrite_cluster_of(5)),
        seen=(0, 1, 2, 3, 3, 3, 6, 7, 8, 9, 10, 11),
    ),
    refused(
        "all damaged.mp4",
        "every frame is damaged",
        changed(media(V(coder=ALL_INTRA)), overwrite_packets(*range(12))),
        "no frame that can be decoded",
    ),
    video(
        "half downloaded.mp4",
        "full size, but zeros instead of the missing frames",
        changed(media(V(coder=ALL_INTRA), movflags="faststart"), zeros_from_packet(6)),
        seen=range(6),
    ),
    both(
        "reception lost.ts",
        "a part is missing: the last frame is repeated, the audio is silent",
        changed(
            media(V(numbers=range(32), coder=ALL_INTRA), A("mp2", 48000, seconds=1.28, onset_s=0.9)),
            without_packets(13, 17),
        ),
        seen=(*range(13), *[12] * 4, *range(17, 32)),
        audio="aac 48000 Hz stereo",
        onset_s=0.9,
    ),
    refused(
        "unknown codec.mp4",
        "a codec that no decoder knows",
        changed(media(V()), without_codec_of_video),
        "has no video stream",
    ),
    refused(
        "playlist.m3u8",
        "a list of addresses: nothing is fetched",
        bytes_of(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://localhost:9/1.ts\n#EXT-X-ENDLIST\n"),
        "is not a video or audio file",
    ),
    video(
        "joined.ts",
        "two recordings joined with `cat`: the clock jumps back",
        joined(media(V(coder=ALL_INTRA)), media(V(numbers=range(12, 24), coder=ALL_INTRA))),
        seen=range(24),
    ),
    both(
        "joined with audio.ts",
        "two recordings with audio joined with `cat`: in sync within a frame",
        joined(media(V(), SILENCE), media(V(numbers=range(12, 24)), A())),
        seen=range(24),
        onset_s=SPEECH_S + ONSET_S,
        onset_off_s=0.04,
    ),
    both(
        "an hour ahead.ts",
        "the clock jumps ahead by an hour: no gap in video and audio",
        joined(media(V(), SILENCE), media(V(numbers=range(12, 24)), A(), output_ts_offset="3600")),
        seen=range(24),
        onset_s=SPEECH_S + ONSET_S,
        onset_off_s=0.04,
    ),
    *(
        (
            refused("pipe.mp4", "a named pipe", named_pipe, "is a pipe"),
            refused("pipe.wav", "a named pipe", named_pipe, "is a pipe", "audio"),
        )
        if hasattr(os, "mkfifo")
        else ()
    ),
)

NAMES = (
    *(
        both(name, special, copy_of("rate 25.mp4"))
        for name, special in (
            ("with  spaces .mp4", "spaces in the name"),
            ('it\'s "quoted".mp4', "quotes in the name"),
            ("唇語 видео 😀.mp4", "unicode in the name"),
            ("-leading.mp4", "a leading dash"),
            ("--output.mp4", "named like an option"),
            ("new\nline.mp4", "a line break in the name"),
            ("100%.mp4", "a percent sign"),
            ("frame%03d.mp4", "a pattern as the name"),
            ("a:b.mp4", "a colon"),
            ("http:x.mp4", "named like an address"),
            ("what?*[1].mp4", "shell wildcards"),
            ("a;b & $HOME `c`.mp4", "named like a command"),
            ("back\\slash.mp4", "a backslash"),
            (".hidden.mp4", "a hidden file"),
            ("UPPER.MP4", "capitals"),
            ("a|b.mp4", "a bar"),
            (os.fsdecode(b"caf\xe9.mp4"), "a name that is not UTF-8"),
            (LONG_NAME, "a name of 254 characters"),
            ("mp4 without a suffix", "no suffix"),
        )
    ),
    both("mp4.avi", "an mp4 named .avi", with_suffix(".mp4", media(V(), A()))),
    both("mkv.mp4", "a Matroska file named .mp4", with_suffix(".mkv", media(V(), A()))),
    both("video.txt", "an mp4 named .txt", with_suffix(".mp4", media(V(), A()))),
    audio("mp3.wav", "an MP3 named .wav", with_suffix(".mp3", media(A("libmp3lame"))), audio="mp3 44100 Hz stereo"),
    audio("flac.mp3", "a FLAC named .mp3", with_suffix(".flac", media(A("flac"))), audio="aac 44100 Hz stereo"),
)


def stills(name: str, special: str, make: Maker, **expected) -> Case:
    """A still lasts as long as the recording: 0.48 s are 12 frames."""
    return video(name, special, make, **{"seen": [5] * 12} | expected)


STILLS = (
    stills("photo.png", "a still lasts as long as the recording", still()),
    stills("photo alpha.png", "alpha is dropped: colors as stored", still(mode="RGBA")),
    stills("photo 16 bit.png", "16 bits a channel", deep_png),
    stills("photo gray.png", "black and white", still(mode="L"), color_levels=256),
    stills("photo gray alpha.png", "black and white with alpha", still(mode="LA"), color_levels=256),
    stills("photo palette.png", "256 colors", still(mode="P")),
    stills("photo 1 bit.png", "black or white", still(mode="1"), color_levels=256),
    stills("photo.jpg", "JPEG", still(quality=95)),
    stills("photo progressive.jpg", "progressive JPEG", still(quality=95, progressive=True)),
    stills("photo gray.jpg", "black and white JPEG", still(mode="L", quality=95), color_levels=256),
    stills("photo cmyk.jpg", "CMYK JPEG, as for print", still(mode="CMYK", quality=95)),
    *(
        stills(
            f"photo exif {turned}.jpg",
            f"JPEG with Exif orientation {turned}",
            still(turned=turned, quality=95, size=size),
            size=size,
        )
        for turned, size in (
            *((turned, SIZE) for turned in (2, 3, 4)),
            *((turned, (96, 128)) for turned in (5, 6, 7, 8)),
        )
    ),
    stills("photo odd.png", "odd width and height", still(size=(129, 97)), size=(130, 98)),
    stills("photo mpo.jpg", "two images in one, as from phones", several_in_one([5, 6], format="MPO", quality=95)),
    stills("photo.webp", "WebP", still(quality=95)),
    stills("photo alpha.webp", "WebP with alpha", still(mode="RGBA", lossless=True, exact=True)),
    stills("photo.bmp", "BMP", still()),
    stills("photo.tiff", "TIFF", still()),
    stills("photo lzw.tif", "TIFF, LZW", still(compression="tiff_lzw")),
    stills("photo.gif", "GIF with one frame", still()),
    stills("photo.avif", "AVIF", still(quality=95)),
    stills("photo pages.tiff", "TIFF with several pages", several_in_one([5, 6])),
    stills("photo upper.JPG", "suffix in capitals", still(quality=95, format="JPEG")),
    stills("photo %03d.png", "a pattern as the name", still()),
    stills("photo:1.png", "a colon in the name", still()),
    stills("jpeg.png", "a JPEG named .png", with_suffix(".jpg", still(quality=95))),
    Case(
        "photo at 10.png",
        "a still, asked for 10 frames/s",
        still(),
        Result([5] * 5, 10, audio="aac 16000 Hz mono"),
        "video",
        {"fps": 10},
    ),
    refused("photo cut off.png", "half a PNG", changed(still(), keep_share(0.5)), "."),
    refused(
        "drawing.svg",
        "a vector drawing",
        bytes_of(b'<svg xmlns="http://www.w3.org/2000/svg"/>\n'),
        "of a known kind",
    ),
    refused(
        "animated.webp",
        "an animated WebP",
        several_in_one(range(12), duration=100, lossless=True),
        "of a known kind",
    ),
    stills("one frame", "a folder with one image is a still", folder(numbered([5]))),
    video(
        "frames with gaps",
        "gaps in the numbers",
        folder({f"{number:03d}.png": still(index) for index, number in enumerate((*range(0, 22, 2), 500))}),
    ),
    video(
        "frames of two sizes",
        "all are scaled to the size of the first",
        folder({**numbered(range(11)), "frame_12.png": still(11, size=(160, 120))}),
    ),
    video("frames", "a folder of frames, in the order of their numbers", folder(numbered(range(12)))),
    video(
        "frames jpg",
        "a folder of JPEG frames",
        folder(numbered(range(12), "{:04d}.jpg", 0, quality=95)),
    ),
    video(
        "frames at 30",
        "a folder of frames, asked for 30 frames/s",
        folder(numbered(range(12))),
        {"fps": 30},
        fps=30,
    ),
    video(
        "frames and other files",
        "a folder of frames that also has system files",
        folder(numbered(range(12)) | {".DS_Store": bytes_of(b"x"), "Thumbs.db": bytes_of(b"x")}),
    ),
    video(
        "frames %d [a].mp4",
        "a folder with an odd name",
        folder(numbered(range(12), "it's %d_{}.png")),
    ),
    refused("frames of text", "a folder of text files", folder({"1.txt": bytes_of(b"x")}), "."),
    refused("no frames", "an empty folder", folder({}), "."),
)

CASES = (
    *RATES,
    *STARTS,
    *SHAPES,
    *COLORS_AND_CODECS,
    *CONTAINERS,
    *AUDIO_IN_VIDEO,
    *RECORDINGS,
    *DAMAGED,
    *NAMES,
    *STILLS,
)


def write_all(folder: Path) -> None:
    """Every file of the set, and the plain video and recording that they are used with."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in [*PLAIN.items(), *((case.name, case.make) for case in CASES)]:
        make(folder / name)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
