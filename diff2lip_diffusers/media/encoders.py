"""Codecs by name, their encoder settings and the pixel format that each writes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import torch
from av.codec.codec import UnknownCodecError

from ..errors import MediaError
from .containers import HEAVY_BYTES, LARGE_PIXELS
from .frame import ColorTags
from .pixel_formats import bytes_per_pixel

DEFAULT_CODEC, HDR_CODEC = "h264", "hevc"
# AVColorTransferCharacteristic of PQ and HLG, whose bright colors show banding in 8 bits.
HDR_TRANSFERS = {16, 18}
# Encoders' pixel formats for lossless RGB, best first.
RGB_FORMATS = ("gbrp", "bgr0", "rgb24")


@dataclass(frozen=True)
class Codec:
    """A video codec with its settings.

    Attributes:
        encoder: FFmpeg's name.
        suffixes: of the files that may contain it.
        default_crf: the largest CRF, 0 to 51, that looks like the source; None for codecs without CRF.
        options: returns the encoder's options for a CRF, or for the nearest setting it has.
        lossless: options for a bit-exact copy; None if it has none.
        keeps_depth: whether common players show its frames of more than 8 bits.
        lossless_rgb: the encoder for lossless RGB, if it is another one.
    """

    encoder: str
    suffixes: tuple[str, ...]
    default_crf: int | None
    options: Callable[[int], dict[str, str]]
    lossless: dict[str, str] | None = None
    keeps_depth: bool = True
    lossless_rgb: str | None = None


# Output depends on the number of threads, which by default is that of the cores.
FRAME_THREADS = {"threads": "4", "thread_type": "frame"}
QUIET_X265 = "log-level=error:frame-threads=2"
# Of large frames, x264 and x265 hold fewer: threads share a frame, and they look less far ahead.
LARGE_X264, LARGE_X265 = "rc-lookahead=4", "frame-threads=1:rc-lookahead=3:bframes=1"
# Of heavy ones, x265 looks at each by itself.
HEAVY_X265 = "frame-threads=1:rc-lookahead=0:bframes=0:b-adapt=0:ref=1:no-scenecut=1:no-cutree=1"


def repeatable_x264() -> str:
    """Returns x264's parameter without which its bytes differ from run to run; empty where they do not.

    Its macroblock tree for AVX-512 reads memory that it has not written. All processors with AVX-512 have the other
    instructions.
    """
    has_avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return "asm=AVX2,FMA3,LZCNT,BMI1,BMI2" if has_avx512 else ""


def _x264(crf: int) -> dict[str, str]:
    # The chroma offset makes files 5 % larger and reduces the error of skin by a tenth.
    params = f"chroma-qp-offset=-4:{repeatable_x264()}".rstrip(":")
    return {"crf": str(crf), "preset": "veryfast", "x264-params": params, **FRAME_THREADS}


def _x265(crf: int) -> dict[str, str]:
    return {"crf": str(crf), "preset": "superfast", "x265-params": QUIET_X265}


def _nvenc(crf: int) -> dict[str, str]:
    return {"rc": "vbr", "cq": str(crf), "b": "0"}


def _qsv(crf: int) -> dict[str, str]:
    return {"global_quality": str(max(1, crf))}


def _amf(crf: int) -> dict[str, str]:
    return {"rc": "cqp", "qp_i": str(crf), "qp_p": str(crf)}


def _videotoolbox(crf: int) -> dict[str, str]:
    return {"q:v": str(round(100 * (1 - crf / 51)))}


def _no_options(_crf: int) -> dict[str, str]:
    return {}


MOVIES = (".mp4", ".m4v", ".mov", ".mkv")
LOSSLESS_X264 = {"qp": "0", "preset": "veryfast", **FRAME_THREADS}
LOSSLESS_X265 = {"preset": "superfast", "x265-params": f"lossless=1:{QUIET_X265}"}
CODECS = {
    "h264": Codec("libx264", MOVIES, 8, _x264, LOSSLESS_X264, keeps_depth=False, lossless_rgb="libx264rgb"),
    "hevc": Codec("libx265", MOVIES, 10, _x265, LOSSLESS_X265),
    "prores": Codec("prores_ks", (".mov", ".mkv"), None, _no_options),
    "ffv1": Codec("ffv1", (".mkv",), None, _no_options, {"level": "3", "slices": "4"}),
    **{
        f"{family}_{maker}": Codec(f"{family}_{maker}", MOVIES, 16, options, keeps_depth=False)
        for family in ("h264", "hevc")
        for maker, options in {
            "nvenc": _nvenc, "qsv": _qsv, "amf": _amf, "videotoolbox": _videotoolbox
        }.items()
    },
}  # fmt: skip


@dataclass(frozen=True)
class Encoding:
    """An encoder with its settings for one video.

    Attributes:
        encoder: FFmpeg's name.
        pixel_format: FFmpeg's name of the encoder's input format.
        options: for the encoder.
        tag: the stream's codec tag in mp4 and mov; None for FFmpeg's choice.
    """

    encoder: str
    pixel_format: str
    options: dict[str, str]
    tag: str | None = None


def default_codec(color: ColorTags | None, lossless: bool = False) -> str:
    """Returns the name of the default codec: H.264, which plays everywhere, or HEVC with 10 bits for HDR."""
    return HDR_CODEC if color and color.transfer in HDR_TRANSFERS and not lossless else DEFAULT_CODEC


def choose_encoding(
    path: Path, codec: str, source_format: str, crf: int | None, lossless: bool, pixels: int = 0
) -> Encoding:
    """Returns the encoder settings for a file.

    Args:
        path: the file to write; its suffix decides which codecs are possible.
        codec: a key of `CODECS`.
        source_format: FFmpeg's name of the source's pixel format.
        crf: 0 to 51, lower is better; the codec's default if None.
        lossless: whether to keep every pixel bit-exact.
        pixels: of a frame.

    Raises:
        ValueError: the codec cannot be lossless.
        MediaError: such a file cannot contain the codec, or this FFmpeg build lacks it.
    """
    choice = CODECS[codec]
    suffix = path.suffix.lower()
    if suffix not in choice.suffixes:
        raise MediaError(path, f"codec {codec} goes into {', '.join(choice.suffixes)}; change the suffix or the codec")
    if lossless and choice.lossless is None:
        able = ", ".join(name for name, other in CODECS.items() if other.lossless is not None)
        raise ValueError(f"`lossless` is not possible with codec {codec}; choose {able}")
    name = choice.lossless_rgb if lossless and source_format == "gbrp" and choice.lossless_rgb else choice.encoder
    formats = _formats(path, codec, name)
    if lossless or choice.default_crf is None:
        pixel_format, options = _exact_format(source_format, formats), choice.lossless or {}
    else:
        pixel_format = _common_format(source_format, choice, formats)
        options = choice.options(choice.default_crf if crf is None else crf)
    if pixels > LARGE_PIXELS:
        options = _for_large_frames(name, options, pixels * bytes_per_pixel(pixel_format) > HEAVY_BYTES)
    tag = "hvc1" if choice.encoder == "libx265" and suffix != ".mkv" else None  # Apple's players require it
    return Encoding(name, pixel_format, options, tag)


def _for_large_frames(encoder: str, options: dict[str, str], are_heavy: bool) -> dict[str, str]:
    """Returns the options with which an encoder takes less memory."""
    if encoder in ("libx264", "libx264rgb"):
        params = ":".join(filter(None, [options.get("x264-params"), LARGE_X264]))
        return {**options, "x264-params": params, "thread_type": "slice"}
    if encoder == "libx265":
        return {**options, "x265-params": f"{options['x265-params']}:{HEAVY_X265 if are_heavy else LARGE_X265}"}
    return options


def _formats(path: Path, codec: str, encoder: str) -> list[str]:
    try:
        return [format.name for format in av.Codec(encoder, "w").video_formats or ()]
    except UnknownCodecError as error:
        raise MediaError(path, f"codec {codec} is not in this build of FFmpeg; choose h264 or hevc") from error


def _common_format(source: str, codec: Codec, formats: list[str]) -> str:
    """Returns a 4:2:0 format, which all players show; with more than 8 bits where the codec keeps them."""
    deep = codec.keeps_depth and source[-2:] == "le"
    names = ("yuv420p10le", "p010le") if deep else ("yuv420p", "nv12")
    return next(name for name in (*names, "nv12", "yuv420p") if name in formats)


def _exact_format(source: str, formats: list[str]) -> str:
    """Returns the source's own format, or the one that loses least."""
    if source in formats:
        return source
    if source == "gbrp":
        return next((name for name in RGB_FORMATS if name in formats), "yuv444p10le")
    kind = "444" if source.startswith("gbr") or "440" in source else source[3:6]
    depths = ("16le", "12le", "10le", "") if source[-2:] == "le" else ("", "10le")
    kinds = dict.fromkeys((kind, "422", "444"))
    return next(name for name in (f"yuv{k}p{depth}" for k in kinds for depth in depths) if name in formats)
