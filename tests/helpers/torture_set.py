"""Odd and damaged files, each with what is to become of it.

`PYTHONPATH=tests python -m helpers.torture_set FOLDER` writes them all. The expectations are written down here by hand
and by construction; nothing of the package is used.
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
    Maker,
    Pictures,
    Sound,
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
    without_codec_of_last_sound,
    without_codec_of_pictures,
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
    """An output: which picture each frame shows, and what the file is like.

    None in `seen` is a picture that may be anything. `onset_s` is when the tone begins, None where that is not to be
    checked, and `onset_off_s` by how much it may be off; `color_levels` says how far colours may be off.
    """

    seen: Sequence[int | None] = range(COUNT)
    fps: Fraction | int = 25
    size: tuple[int, int] = SIZE
    sound: str = "aac 44100 Hz stereo"
    onset_s: float | None = ONSET_S
    onset_off_s: float = 0.03
    aspect: Fraction | int = 1
    color_levels: int = 16


@dataclass(frozen=True)
class Case:
    """A file and what becomes of it: a result, or one line that matches a pattern.

    `role` is what the file is used as: "video", with a plain recording; "audio", with a plain video; "both".
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
    result = Result(**{"sound": "aac 16000 Hz mono"} | expected)
    return Case(name, special, make, result, "video", options or {})


def audio(name: str, special: str, make: Maker, **expected) -> Case:
    """Used with the plain video."""
    return Case(name, special, make, Result(**expected), "audio")


def refused(name: str, special: str, make: Maker, line: str, role: str = "video") -> Case:
    return Case(name, special, make, line, role)


P, S = Pictures, Sound
SILENCE = Sound(onset_s=SPEECH_S)
WAV = Sound("pcm_s16le", 16000, "mono")
LONG_NAME = "n" * 250 + ".mp4"
PLAIN = {FACE: media(P()), SPEECH: media(WAV)}
VP9 = {"deadline": "realtime", "cpu-used": "8"}
# 30 pictures a second as a phone takes them: in 1/600 s, each up to 1/600 s early or late.
PHONE_TIMES = (0, 20, 41, 60, 79, 100, 120, 141, 160, 180, 199, 220)
# A screen recorder writes a picture only when something changes; times in ms.
SCREEN_TIMES = (0, 33, 67, 100, 600, 633, 667, 1100, 1133, 1167, 1200, 1233)
SCREEN_SEEN = (0, 1, 2, *[3] * 15, 4, 5, *[6] * 13, 7, 8, 9, 10, 11)
BROWSER_TIMES = (0, 33, 67, 100, 133, 167, 200, 233, 267, 300, 333, 367)

RATES = (
    both("rate 23.976.mp4", "24000/1001 frames/s", media(P(FILM), S(seconds=0.5)), fps=FILM),
    both("rate 24.mp4", "24 frames/s", media(P(24), S(seconds=0.5)), fps=24),
    both("rate 25.mp4", "25 frames/s", media(P(), S())),
    both("rate 29.97.mp4", "30000/1001 frames/s", media(P(NTSC), S()), fps=NTSC),
    both("rate 30.mp4", "30 frames/s", media(P(30), S()), fps=30),
    both("rate 50.mp4", "50 frames/s", media(P(50, range(20)), S()), fps=50, seen=range(20)),
    both("rate 59.94.mp4", "60000/1001 frames/s", media(P(NTSC_60, range(20)), S()), fps=NTSC_60, seen=range(20)),
    both("rate 60.mp4", "60 frames/s", media(P(60, range(20)), S()), fps=60, seen=range(20)),
    both("rate 240.mp4", "240 frames/s, slow motion", media(P(240, range(60)), S()), fps=240, seen=range(60)),
    both("rate 1.mp4", "1 frame/s, time lapse", media(P(1, range(3)), S(seconds=3)), fps=1, seen=range(3)),
    video(
        "rate 60 to 25.mp4",
        "60 frames/s, asked for 25",
        media(P(60, range(24))),
        {"fps": 25},
        seen=(1, 3, 5, 8, 10, 13, 15, 17, 20, 22),
    ),
    video(
        "rate 23.976 to 30.mp4",
        "24000/1001 frames/s, asked for 30",
        media(P(FILM)),
        {"fps": 30},
        fps=30,
        seen=(0, 1, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 9, 10, 11),
    ),
    video(
        "variable.mkv",
        "variable rate, in ms",
        media(
            P(25, times=[0, 40, 80, 130, 240, 280, 320, 360, 400, 440], numbers=range(10), time_base=Fraction(1, 1000))
        ),
        seen=(0, 1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9),
    ),
    video(
        "variable.mp4",
        "variable rate, asked for 25 frames/s",
        media(P(30, times=[0, 33, 67, 200, 233, 267, 300, 367], numbers=range(8), time_base=Fraction(1, 1000))),
        {"fps": 25},
        seen=(0, 1, 2, 2, 2, 3, 4, 5, 6, 7),
    ),
    video(
        "screen recording.mkv",
        "a picture only when something changes, 30 frames/s stated",
        media(P(30, times=SCREEN_TIMES, time_base=Fraction(1, 1000))),
        fps=30,
        seen=SCREEN_SEEN,
    ),
    video(
        "screen recording.mp4",
        "a picture only when something changes, asked for 30 frames/s",
        media(P(30, times=SCREEN_TIMES, time_base=Fraction(1, 1000))),
        {"fps": 30},
        fps=30,
        seen=SCREEN_SEEN,
    ),
    both(
        "browser.webm",
        "times in ms, no rate stated, as browsers record",
        changed(
            media(
                P(30, codec="libvpx-vp9", coder=VP9, times=BROWSER_TIMES, time_base=Fraction(1, 1000)),
                S("libopus", 48000),
            ),
            without_stated_rate,
        ),
        fps=30,
        sound="opus 48000 Hz stereo",
    ),
    both(
        "browser live.webm",
        "no duration and no index, as browsers record",
        media(P(codec="libvpx", coder=VP9), S("libopus", 48000), live="1"),
        sound="opus 48000 Hz stereo",
    ),
    video(
        "times twice.mkv",
        "two pictures at the same time: the later one is seen",
        media(P(numbers=range(6), times=[0, 40, 80, 80, 160, 200], time_base=Fraction(1, 1000))),
        seen=(0, 1, 3, 3, 4, 5),
        onset_s=None,
    ),
    both(
        "phone.mov",
        "HEVC 10-bit HLG, on its side, rate a little variable, as an iPhone films",
        media(
            P(
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
            S(layout="mono"),
        ),
        fps=Fraction(359, 12),  # the average that the file states
        size=(96, 128),
        sound="aac 44100 Hz mono",
    ),
)

STARTS = (
    both(
        "starts late.mkv",
        "picture and sound start at 0.5 s",
        media(P(times=range(500, 980, 40), time_base=Fraction(1, 1000)), S(start_s=0.5)),
    ),
    both(
        "picture late.mkv",
        "the picture starts 0.4 s after the sound",
        media(P(times=range(400, 880, 40), time_base=Fraction(1, 1000)), S(seconds=0.9, onset_s=0.6)),
    ),
    both(
        "picture late.mp4",
        "the picture starts 0.4 s after the sound",
        media(P(times=range(10, 22), time_base=Fraction(1, 25)), S(seconds=0.9, onset_s=0.6)),
    ),
    both(
        "sound late.mkv",
        "the sound starts 0.2 s after the picture",
        media(P(), S(start_s=0.2, onset_s=0.1, seconds=0.28)),
        onset_s=0.3,
    ),
    both(
        "sound late.mp4",
        "the sound starts 0.2 s after the picture",
        media(P(), S(start_s=0.2, onset_s=0.1, seconds=0.28)),
        onset_s=0.3,
    ),
    both(
        "trimmed.mp4",
        "an edit list hides the first 4 pictures",
        changed(media(P(coder={"bf": "0"}, codec="libx264"), S()), start_at(4)),
        seen=range(4, 12),
    ),
    both(
        "hours.ts",
        "a broadcast: its clock wraps around after 0.2 s",
        media(P(), S(), output_ts_offset=str(2**33 / 90000 - 0.2)),
    ),
    both(
        "switched on.ts",
        "a broadcast received from the middle of a group of pictures on",
        changed(
            media(P(numbers=range(20), coder={"g": "8", "bf": "0", "sc_threshold": "0"}), S(seconds=0.8, onset_s=0.5)),
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
            f"lies on its side or head: {degrees}°",
            media(P(rotation=degrees, size=size)),
            size=size,
        )
        for degrees, size in ((90, (96, 128)), (180, SIZE), (270, (96, 128)))
    ),
    video("mirrored.mp4", "a mirroring display matrix", media(P(mirrored=True))),
    video(
        "mirrored rotated.mp4",
        "mirrored and on its side, as front cameras film",
        media(P(rotation=90, mirrored=True, size=(96, 128))),
        size=(96, 128),
    ),
    video("pixels 4-3.mp4", "pixels wider than high, 4:3", media(P(aspect=Fraction(4, 3))), aspect=Fraction(4, 3)),
    video(
        "pixels 4-3 rotated.mp4",
        "pixels of 4:3 and on its side",
        media(P(aspect=Fraction(4, 3), rotation=90, size=(96, 128))),
        size=(96, 128),
        aspect=Fraction(3, 4),
    ),
    video("odd 129x97.mp4", "odd width and height", media(P(size=(129, 97), pix_fmt="yuv444p")), size=(130, 98)),
    video("odd 129x97.mkv", "odd width and height, 4:2:0", media(P(size=(129, 97), codec="ffv1")), size=(130, 98)),
    video(
        "odd rotated.mkv",
        "odd width and height, on its side",
        media(P(size=(97, 129), codec="ffv1", rotation=90)),
        size=(98, 130),
    ),
    refused("one pixel.mkv", "1x1 pixel", media(P(size=(1, 1), codec="ffv1", pix_fmt="bgr0")), "of 1x1"),
    refused("two pixels.mp4", "2x2 pixels", media(P(size=(2, 2))), "of 2x2"),
    video(
        "changing size.ts",
        "the size changes on the way: pictures are scaled to the first one's",
        joined(
            media(P(coder=ALL_INTRA, numbers=range(6), times=range(6))),
            media(P(coder=ALL_INTRA, numbers=range(6, 12), times=range(6, 12), size=(160, 120))),
        ),
    ),
    video(
        "interlaced.mkv",
        "interlaced: stays as it is",
        media(P(coder={"flags": "+ildct+ilme", "x264-params": "tff=1"})),
    ),
    video(
        "two videos.mkv", "two video streams: the first counts", media(P(), P(numbers=range(20, 32), size=(64, 48)))
    ),
    both("cover.mp4", "cover art beside the video", media(P(), S(), cover_first=True)),
    both("cover.mkv", "cover art as an attachment", media(P(), S(), cover_first=True)),
)

COLORS_AND_CODECS = (
    video("bt709.mp4", "BT.709 colours", media(P(tags=BT709))),
    video("bt601.mp4", "BT.601 colours", media(P(tags=BT601))),
    video("full range.mp4", "0-255 instead of 16-235", media(P(tags=(1, 2, 1, 1), pix_fmt="yuvj420p"))),
    video("full range.avi", "motion JPEG, as cameras record it", media(P(codec="mjpeg", pix_fmt="yuvj422p"))),
    video("h264 10 bit.mp4", "H.264 with 10 bits", media(P(pix_fmt="yuv420p10le"))),
    video(
        "hdr pq.mkv",
        "HEVC 10-bit, BT.2020 and PQ: passed on",
        media(P(codec="libx265", pix_fmt="yuv420p10le", coder=X265, tags=PQ)),
    ),
    video("4-2-2.mp4", "H.264 4:2:2", media(P(pix_fmt="yuv422p"))),
    video("4-4-4.mp4", "H.264 4:4:4", media(P(pix_fmt="yuv444p"))),
    video("rgb.mkv", "lossless RGB", media(P(codec="ffv1", pix_fmt="bgr0"))),
    video("rgb 16 bit.mkv", "lossless RGB with 16 bits", media(P(codec="ffv1", pix_fmt="gbrp16le"))),
    video("gray.mkv", "black and white", media(P(codec="ffv1", pix_fmt="gray")), color_levels=256),
    video(
        "gray 10 bit.mkv", "black and white with 10 bits", media(P(codec="ffv1", pix_fmt="gray10le")), color_levels=256
    ),
    video("alpha.mkv", "with alpha, which is dropped", media(P(codec="ffv1", pix_fmt="yuva420p"))),
    video("alpha.mov", "Animation codec with alpha", media(P(codec="qtrle", pix_fmt="argb"))),
    video("prores.mov", "ProRes 4:2:2 10-bit", media(P(codec="prores_ks", pix_fmt="yuv422p10le"))),
    video("prores 4444.mov", "ProRes with alpha", media(P(codec="prores_ks", pix_fmt="yuva444p10le"))),
    video("hevc.mp4", "HEVC", media(P(codec="libx265", coder=X265))),
    video("av1.mp4", "AV1", media(P(codec="libsvtav1", coder={"preset": "12", "crf": "10"}))),
    video("h264.avi", "H.264 with B pictures in AVI", media(P())),
    video("stream.mjpeg", "motion JPEG without a container", media(P(codec="mjpeg", pix_fmt="yuvj420p"))),
    video("mpeg4.avi", "MPEG-4 part 2", media(P(codec="mpeg4"))),
    video(
        "xvid.avi",
        "MPEG-4 with B pictures, in a container without their times",
        media(P(codec="mpeg4", coder={"bf": "2"})),
    ),
    video("raw.avi", "no compression, upside down in the file", media(P(codec="rawvideo", pix_fmt="bgr24"))),
)

CONTAINERS = (
    both(
        "web.webm",
        "VP9 and Opus",
        media(P(codec="libvpx-vp9", coder=VP9), S("libopus", 48000)),
        sound="opus 48000 Hz stereo",
    ),
    both(
        "web old.webm",
        "VP8 and Opus",
        media(P(codec="libvpx", coder=VP9), S("libopus", 48000, "mono")),
        sound="opus 48000 Hz mono",
    ),
    both("film.mkv", "Matroska with FLAC", media(P(), S("flac", 48000)), sound="aac 48000 Hz stereo"),
    both("film.avi", "AVI with AC-3", media(P(codec="mpeg4"), S("ac3", 48000)), sound="ac3 48000 Hz stereo"),
    both("camera.mov", "QuickTime with PCM", media(P(), S("pcm_s16le", 48000)), sound="aac 48000 Hz stereo"),
    both(
        "broadcast.ts",
        "transport stream with MPEG-2 pictures and sound",
        media(P(codec="mpeg2video"), S("mp2", 48000)),
        sound="aac 48000 Hz stereo",
    ),
    both(
        "camcorder.m2ts",
        "AVCHD: transport stream with AC-3",
        media(P(), S("ac3", 48000), container="mpegts", mpegts_m2ts_mode="1"),
        sound="ac3 48000 Hz stereo",
    ),
    both(
        "disc.mpg",
        "program stream with MPEG-2",
        media(P(codec="mpeg2video"), S("mp2", 48000)),
        sound="aac 48000 Hz stereo",
    ),
    both(
        "old phone.3gp",
        "H.263 and AMR; its pixels are 12:11",
        media(P(codec="h263", size=(176, 144)), S("amr_nb", 8000, "mono")),
        size=(176, 144),
        aspect=Fraction(12, 11),
        sound="aac 8000 Hz mono",
    ),
    both("flash.flv", "Flash video", media(P(codec="flv"), S("libmp3lame")), sound="mp3 44100 Hz stereo"),
    both("windows.wmv", "Windows Media", media(P(codec="wmv2"), S("adpcm_ms")), sound="aac 44100 Hz stereo"),
    both(
        "studio.mxf",
        "MXF",
        media(P(codec="mpeg2video", size=(160, 128)), S("pcm_s16le", 48000, "mono")),
        size=(160, 128),
        sound="aac 48000 Hz mono",
    ),
    both(
        "tape.avi",
        "DV: 720x576, interlaced, pixels of 16:15",
        media(P(codec="dvvideo", size=(720, 576), aspect=Fraction(16, 15)), S("pcm_s16le", 48000)),
        size=(720, 576),
        sound="aac 48000 Hz stereo",
        aspect=Fraction(16, 15),
    ),
    both(
        "fragmented.mp4",
        "a fragmented mp4, as streaming sites and recorders write it",
        media(P(), S(), movflags="frag_keyframe+empty_moov"),
    ),
    both("subtitles.mkv", "with subtitles", subtitled(media(P(), S()))),
    both("timecode.mov", "with a track of timecodes, as cameras write it", media(P(), S(), timecode="01:00:00:00")),
    both(
        "spatial sound.mov",
        "a second sound track that no decoder knows, as new iPhones write it",
        changed(media(P(), S(), S(layout="mono")), without_codec_of_last_sound),
    ),
    video("stream.h265", "HEVC without a container", media(P(codec="libx265", coder=X265), container="hevc")),
    video("stream.h264", "H.264 without a container: no times, 25 frames/s by FFmpeg's rule", media(P())),
    video("stream.y4m", "YUV4MPEG", yuv4mpeg, fps=30),
    video("animated.gif", "GIF with 10 frames/s", media(P(10, codec="gif", pix_fmt="pal8")), fps=10),
    video(
        "animated.png", "animated PNG with alpha", media(P(10, codec="apng", pix_fmt="rgba"), container="apng"), fps=10
    ),
)

SOUND_IN_VIDEO = (
    refused("no sound.mp4", "a video without sound, and no recording", media(P()), "has no audio stream", "both"),
    both("sound 5.1.mp4", "six channels", media(P(), S(layout="5.1")), sound="aac 44100 Hz 5.1"),
    Case(
        "sound 7.1.mkv",
        "eight channels",
        media(P(), S("flac", 48000, "7.1")),
        Result(sound="aac 48000 Hz 7.1"),
    ),
    both(
        "sound 6.1.mkv",
        "seven channels, which AAC has no layout for: their mean",
        media(P(), S("flac", 48000, "6.1")),
        sound="aac 48000 Hz mono",
    ),
    refused(
        "sound empty.mp4", "a sound stream without any sound", media(P(), S(seconds=0)), "has no audio stream", "both"
    ),
    refused(
        "sound before.mkv",
        "the sound ends before the first picture",
        media(P(times=range(1000, 1480, 40), time_base=Fraction(1, 1000)), S()),
        "its audio lasts 0.000 s",
        "both",
    ),
    both(
        "sound changes.ts",
        "two channels, then one, as broadcasts change: the output has the number that FFmpeg states for the file",
        joined(
            media(P(), S("mp2", 48000, onset_s=SPEECH_S)),
            media(
                P(numbers=range(12, 24)),
                S("mp2", 48000, "mono"),
            ),
        ),
        seen=range(24),
        sound="aac 48000 Hz mono",
        onset_s=SPEECH_S + ONSET_S,
    ),
    both("sound 8 kHz.mp4", "8 kHz", media(P(), S(rate=8000, layout="mono")), sound="aac 8000 Hz mono"),
    both("sound longer.mp4", "sound longer than the video: cut", media(P(), S(seconds=1.5))),
    both("sound shorter.mp4", "sound shorter than the video: silence behind it", media(P(), S(seconds=0.3))),
    both(
        "two sounds.mp4",
        "two sound streams: the one marked as default",
        media(P(), S(), S(rate=22050, layout="mono", onset_s=0.4)),
    ),
    both(
        "sound with a hole.mkv",
        "part of the sound was never written: silence there",
        media(P(codec="ffv1"), S("pcm_s16le", onset_s=0.3, hole_s=(0.1, 0.2))),
        onset_s=0.3,
    ),
)

RECORDINGS = (
    audio("speech 24 bit.wav", "24 bits", media(S("pcm_s24le", 48000)), sound="aac 48000 Hz stereo"),
    audio("speech float.wav", "32-bit float", media(S("pcm_f32le", 48000)), sound="aac 48000 Hz stereo"),
    audio("speech 8 bit.wav", "8 bits, 11 kHz", media(S("pcm_u8", 11025, "mono")), sound="aac 11025 Hz mono"),
    audio(
        "speech a-law.wav",
        "A-law, 8 kHz, as telephones do it",
        media(S("pcm_alaw", 8000, "mono")),
        sound="aac 8000 Hz mono",
    ),
    audio("speech adpcm.wav", "ADPCM", media(S("adpcm_ms", 22050, "mono")), sound="aac 22050 Hz mono"),
    audio("speech 96 kHz.wav", "96 kHz", media(S("pcm_s24le", 96000)), sound="aac 96000 Hz stereo"),
    audio(
        "speech 192 kHz.wav",
        "192 kHz: more than AAC has",
        media(S("pcm_s24le", 192000, "mono")),
        sound="aac 96000 Hz mono",
    ),
    audio("speech 5.1.wav", "six channels", media(S("pcm_s16le", 48000, "5.1")), sound="aac 48000 Hz 5.1"),
    audio(
        "speech from a pipe.wav",
        "states no length",
        changed(media(WAV), wav_length(0xFFFFFFFF)),
        sound="aac 16000 Hz mono",
    ),
    audio(
        "speech cut off.wav",
        "states more sound than there is",
        changed(media(WAV), keep_share(0.8)),
        sound="aac 16000 Hz mono",
    ),
    audio(
        "cover.mp3",
        "MP3, 44.1 kHz mono, with cover art",
        media(S("libmp3lame", layout="mono"), cover_first=True),
        sound="mp3 44100 Hz mono",
    ),
    audio(
        "noise in the middle.mp3",
        "MP3 with damaged bytes",
        changed(media(S("libmp3lame")), overwrite_middle(0.05)),
        sound="mp3 44100 Hz stereo",
    ),
    audio("speech.m4a", "AAC", media(S(layout="mono"), container="mp4"), sound="aac 44100 Hz mono"),
    audio(
        "cover.m4a",
        "Apple Lossless with cover art",
        media(S("alac"), cover_first=True, container="mp4"),
        sound="alac 44100 Hz stereo",
    ),
    audio("speech.aac", "AAC without a container", media(S()), sound="aac 44100 Hz stereo"),
    audio(
        "speech.flac",
        "FLAC with cover art",
        media(S("flac", 48000, "mono"), cover_first=True),
        sound="aac 48000 Hz mono",
    ),
    audio("speech.opus", "Opus", media(S("libopus", 48000, "mono")), sound="opus 48000 Hz mono"),
    audio("speech vorbis.ogg", "Ogg Vorbis", media(S("vorbis"))),
    audio(
        "speech.wma",
        "Windows Media; FFmpeg's encoder does not state its delay of 46 ms",
        media(S("wmav2")),
        onset_off_s=0.05,
    ),
    audio("speech.caf", "Apple's Core Audio format", media(S("alac", layout="mono")), sound="alac 44100 Hz mono"),
    audio("speech e-ac-3.mp4", "E-AC-3", media(S("eac3", 48000)), sound="eac3 48000 Hz stereo"),
    audio("speech mp3.wav", "MP3 inside of WAV", media(S("libmp3lame")), sound="mp3 44100 Hz stereo"),
    audio(
        "joined.mp3",
        "two recordings joined with `cat`",
        joined(
            media(S("libmp3lame", seconds=0.2, onset_s=0.2)), media(S("libmp3lame", onset_s=0.1), id3v2_version="0")
        ),
        sound="mp3 44100 Hz stereo",
        onset_s=None,
    ),
    audio("speech.ogg", "Ogg FLAC", media(S("flac", 44100)), sound="aac 44100 Hz stereo"),
    audio("speech.amr", "AMR, as old phones record", media(S("amr_nb", 8000, "mono")), sound="aac 8000 Hz mono"),
    audio("speech.aiff", "AIFF", media(S("pcm_s16be", 44100, "mono")), sound="aac 44100 Hz mono"),
    audio("voice message.webm", "Opus from a browser", media(S("libopus", 48000, "mono")), sound="opus 48000 Hz mono"),
    audio("sound of a video.mp4", "a video as the recording", media(P(numbers=range(20, 32)), S())),
    audio(
        "speech late.mkv",
        "starts at 0.1 s: only its own start counts, as it has no pictures",
        media(S("pcm_s16le", start_s=0.1)),
    ),
    refused(
        "speech 0.1 s.wav", "less than 0.2 s", media(S("pcm_s16le", 16000, "mono", 0.1)), "lasts 0.100 s", "audio"
    ),
    refused(
        "speech 0 s.wav",
        "no sound in it",
        media(S("pcm_s16le", 16000, "mono", 0)),
        "no audio that can be decoded",
        "audio",
    ),
    refused("no speech.mp4", "a video without sound as the recording", media(P()), "has no audio stream", "audio"),
    refused("not a sound.wav", "text", bytes_of(b"This is no sound.\n" * 30), "is not a video or audio file", "audio"),
    refused("picture.png", "a picture as the recording", still(), "has no audio stream", "audio"),
)

DAMAGED = (
    video("one frame.mp4", "a single frame", media(P(numbers=[7])), seen=[7], onset_s=None),
    refused("no frame.mp4", "0 frames", media(P(numbers=[])), "."),
    refused("no frame.avi", "0 frames", media(P(numbers=[], codec="mpeg4")), "."),
    refused("empty.mp4", "0 bytes", bytes_of(b""), "is empty"),
    refused("text.mp4", "text", bytes_of(b"This is no video.\n" * 30), "is not a video or audio file"),
    refused(
        "page.mp4",
        "a web page, saved instead of the video",
        bytes_of(b"<!DOCTYPE html><html><body>Please log in</body></html>\n"),
        "is not a video or audio file",
    ),
    refused("notes.txt", "text", bytes_of(b"This is no video.\n" * 30), "is a text file"),
    refused("zeros.mp4", "10,000 zeros", bytes_of(bytes(10_000)), "is not a video or audio file"),
    refused("folder.mp4", "a folder", lambda path: path.mkdir(), "is a folder"),
    refused("missing.mp4", "does not exist", lambda path: None, "no such file"),
    refused("link.mp4", "a link to nowhere", dangling_link, "no such file"),
    refused("speech.wav as the video.wav", "sound only", media(WAV), "has no video stream"),
    refused(
        "cover as the video.mp3",
        "sound with cover art only",
        media(S("libmp3lame"), cover_first=True),
        "has no video stream",
    ),
    refused(
        "cut off.mp4",
        "an mp4 without its end, where the index is",
        changed(media(P(), S()), keep_share(0.6)),
        "is not a video or audio file",
    ),
    both(
        "cut off, index in front.mp4",
        "an mp4 without its end, index in front",
        changed(media(P(coder=ALL_INTRA), S(seconds=0.3, onset_s=0.1), movflags="faststart"), cut_in_packet(8)),
        seen=range(8),
        onset_s=0.1,
    ),
    video(
        "cut off.mkv",
        "a recording that stopped early",
        changed(media(P(coder=ALL_INTRA)), cut_in_packet(8)),
        seen=range(8),
    ),
    video(
        "cut off.ts",
        "a recording that stopped early",
        changed(media(P(coder=ALL_INTRA)), cut_in_packet(8)),
        seen=range(8),
    ),
    video(
        "damaged pictures.mp4",
        "two damaged pictures: the last good one stays",
        changed(media(P(numbers=range(32), coder=ALL_INTRA)), overwrite_packets(5, 6)),
        seen=(*range(5), 4, 4, *range(7, 32)),
    ),
    video(
        "damaged first pictures.mp4",
        "the first two pictures are damaged",
        changed(media(P(numbers=range(32), coder=ALL_INTRA)), overwrite_packets(0, 1)),
        seen=range(2, 32),
    ),
    video(
        "damaged last pictures.mp4",
        "damaged pictures near the end",
        changed(media(P(coder=ALL_INTRA)), overwrite_packets(5, 6)),
        seen=(0, 1, 2, 3, 4, 4, 4, 7, 8, 9, 10, 11),
    ),
    video(
        "damaged prediction.mp4",
        "a damaged picture that others are predicted from: wrong up to the next whole one",
        changed(
            media(P(numbers=range(32), coder={"bf": "0", "g": "8", "sc_threshold": "0"})),
            overwrite_packets(5),
        ),
        seen=(*range(5), 4, None, None, *range(8, 32)),
        color_levels=256,
    ),
    video(
        "damaged structure.mkv",
        "zeros in the middle, in the structure too",
        changed(media(P(coder=ALL_INTRA), cluster_time_limit="70"), overwrite_cluster_of(5)),
        seen=(0, 1, 2, 3, 3, 3, 6, 7, 8, 9, 10, 11),
    ),
    refused(
        "all damaged.mp4",
        "no picture is whole",
        changed(media(P(coder=ALL_INTRA)), overwrite_packets(*range(12))),
        "no frame that can be decoded",
    ),
    video(
        "half downloaded.mp4",
        "its full size, but zeros where pictures are missing",
        changed(media(P(coder=ALL_INTRA), movflags="faststart"), zeros_from_packet(6)),
        seen=range(6),
    ),
    both(
        "reception lost.ts",
        "a piece is missing: the last picture stays, silence in the sound",
        changed(
            media(P(numbers=range(32), coder=ALL_INTRA), S("mp2", 48000, seconds=1.28, onset_s=0.9)),
            without_packets(13, 17),
        ),
        seen=(*range(13), *[12] * 4, *range(17, 32)),
        sound="aac 48000 Hz stereo",
        onset_s=0.9,
    ),
    refused(
        "unknown codec.mp4",
        "pictures that no decoder knows",
        changed(media(P()), without_codec_of_pictures),
        "has no video stream",
    ),
    refused(
        "playlist.m3u8",
        "a list of addresses: nothing is fetched from them",
        bytes_of(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://localhost:9/1.ts\n#EXT-X-ENDLIST\n"),
        "is not a video or audio file",
    ),
    video(
        "joined.ts",
        "two recordings joined with `cat`: the clock jumps back",
        joined(media(P(coder=ALL_INTRA)), media(P(numbers=range(12, 24), coder=ALL_INTRA))),
        seen=range(24),
    ),
    both(
        "joined with sound.ts",
        "two recordings with sound joined with `cat`: sound in step within a frame",
        joined(media(P(), SILENCE), media(P(numbers=range(12, 24)), S())),
        seen=range(24),
        onset_s=SPEECH_S + ONSET_S,
        onset_off_s=0.04,
    ),
    both(
        "an hour ahead.ts",
        "the clock jumps on by an hour: pictures and sound go on",
        joined(media(P(), SILENCE), media(P(numbers=range(12, 24)), S(), output_ts_offset="3600")),
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
    both("mp4.avi", "an mp4 named .avi", with_suffix(".mp4", media(P(), S()))),
    both("mkv.mp4", "a Matroska file named .mp4", with_suffix(".mkv", media(P(), S()))),
    both("video.txt", "an mp4 named .txt", with_suffix(".mp4", media(P(), S()))),
    audio("mp3.wav", "an MP3 named .wav", with_suffix(".mp3", media(S("libmp3lame"))), sound="mp3 44100 Hz stereo"),
    audio("flac.mp3", "a FLAC named .mp3", with_suffix(".flac", media(S("flac"))), sound="aac 44100 Hz stereo"),
)


def stills(name: str, special: str, make: Maker, **expected) -> Case:
    """A still lasts as long as the recording: 0.48 s are 12 frames."""
    return video(name, special, make, **{"seen": [5] * 12} | expected)


STILLS = (
    stills("photo.png", "a still lasts as long as the recording", still()),
    stills("photo alpha.png", "alpha is dropped: colours as stored", still(mode="RGBA")),
    stills("photo 16 bit.png", "16 bits a channel", deep_png),
    stills("photo gray.png", "black and white", still(mode="L"), color_levels=256),
    stills("photo gray alpha.png", "black and white with alpha", still(mode="LA"), color_levels=256),
    stills("photo palette.png", "256 colours", still(mode="P")),
    stills("photo 1 bit.png", "black or white", still(mode="1"), color_levels=256),
    stills("photo.jpg", "JPEG", still(quality=95)),
    stills("photo progressive.jpg", "progressive JPEG", still(quality=95, progressive=True)),
    stills("photo gray.jpg", "black and white JPEG", still(mode="L", quality=95), color_levels=256),
    stills("photo cmyk.jpg", "CMYK JPEG, as printers use it", still(mode="CMYK", quality=95)),
    *(
        stills(
            f"photo exif {turned}.jpg",
            f"JPEG to be turned, Exif orientation {turned}",
            still(turned=turned, quality=95, size=size),
            size=size,
        )
        for turned, size in (
            *((turned, SIZE) for turned in (2, 3, 4)),
            *((turned, (96, 128)) for turned in (5, 6, 7, 8)),
        )
    ),
    stills("photo odd.png", "odd width and height", still(size=(129, 97)), size=(130, 98)),
    stills(
        "photo mpo.jpg", "two pictures in one, as phones write it", several_in_one([5, 6], format="MPO", quality=95)
    ),
    stills("photo.webp", "WebP", still(quality=95)),
    stills("photo alpha.webp", "WebP with alpha", still(mode="RGBA", lossless=True, exact=True)),
    stills("photo.bmp", "BMP", still()),
    stills("photo.tiff", "TIFF", still()),
    stills("photo lzw.tif", "TIFF, LZW", still(compression="tiff_lzw")),
    stills("photo.gif", "GIF with one picture", still()),
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
        Result([5] * 5, 10, sound="aac 16000 Hz mono"),
        "video",
        {"fps": 10},
    ),
    refused("photo cut off.png", "half a PNG", changed(still(), keep_share(0.5)), "."),
    refused(
        "drawing.svg",
        "a vector drawing",
        bytes_of(b'<svg xmlns="http://www.w3.org/2000/svg"/>\n'),
        "has no video stream",
    ),
    refused(
        "animated.webp",
        "a WebP that moves",
        several_in_one(range(12), duration=100, lossless=True),
        "no frame that can be decoded",
    ),
    stills("one frame", "a folder of one picture is a still", folder(numbered([5]))),
    video(
        "frames with gaps",
        "numbers are left out",
        folder({f"{number:03d}.png": still(index) for index, number in enumerate((*range(0, 22, 2), 500))}),
    ),
    video(
        "frames of two sizes",
        "all get the first one's size",
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
        "a folder of frames with system files beside them",
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
    *SOUND_IN_VIDEO,
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
