"""How pictures are compressed: codecs by name, their quality, and the pixel format each writes."""

from collections.abc import Callable
from dataclasses import dataclass

import av

from ..errors import MediaError
from .frame import ColorTags

DEFAULT_CODEC, HDR_CODEC = "h264", "hevc"
# AVColorTransferCharacteristic of PQ and HLG: bright colours that 8 bits show in steps.
HDR_TRANSFERS = {16, 18}
# Lossless copies of pictures without YUV, best first: what encoders call red, green and blue.
RGB_FORMATS = ("gbrp", "bgr0", "rgb24")


@dataclass(frozen=True)
class Codec:
    """One way to compress pictures.

    Attributes:
        encoder: FFmpeg's name.
        suffixes: of the files it goes into.
        default_crf: the CRF at which the eye cannot tell it from the source; None where there is no choice.
        options: the encoder's options for a CRF.
        lossless: its options for a copy to the bit; None if it has none.
        keeps_depth: whether common players show more than 8 bits of it.
        lossless_rgb: the encoder for lossless RGB, where that is another one.
    """

    encoder: str
    suffixes: tuple[str, ...]
    default_crf: int | None
    options: Callable[[int], dict[str, str]]
    lossless: dict[str, str] | None = None
    keeps_depth: bool = True
    lossless_rgb: str | None = None


# By default the number of threads is that of the cores, on which the pictures would depend.
FRAME_THREADS = {"threads": "4", "thread_type": "frame"}
QUIET_X265 = "log-level=error:frame-threads=2"


def _x264(crf: int) -> dict[str, str]:
    # Finer chroma takes 5 % more room and a tenth off the error of skin.
    return {"crf": str(crf), "preset": "veryfast", "x264-params": "chroma-qp-offset=-4", **FRAME_THREADS}


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


def _fixed(_crf: int) -> dict[str, str]:
    return {}


MOVIES = (".mp4", ".m4v", ".mov", ".mkv")
LOSSLESS_X264 = {"qp": "0", "preset": "veryfast", **FRAME_THREADS}
LOSSLESS_X265 = {"preset": "superfast", "x265-params": f"lossless=1:{QUIET_X265}"}
CODECS = {
    "h264": Codec("libx264", MOVIES, 8, _x264, LOSSLESS_X264, keeps_depth=False, lossless_rgb="libx264rgb"),
    "hevc": Codec("libx265", MOVIES, 10, _x265, LOSSLESS_X265),
    "prores": Codec("prores_ks", (".mov", ".mkv"), None, _fixed),
    "ffv1": Codec("ffv1", (".mkv",), None, _fixed, {"level": "3", "slices": "4"}),
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
        pixel_format: FFmpeg's name of what it is fed with.
        options: for the encoder.
        tag: what mp4 and mov call the stream; None for FFmpeg's choice.
    """

    encoder: str
    pixel_format: str
    options: dict[str, str]
    tag: str | None = None


def default_codec(color: ColorTags | None, lossless: bool = False) -> str:
    """The codec where none is named: H.264, which plays everywhere; HEVC with 10 bits for HDR."""
    return HDR_CODEC if color and color.transfer in HDR_TRANSFERS and not lossless else DEFAULT_CODEC


def choose_encoding(path, codec: str, source_format: str, crf: int | None, lossless: bool) -> Encoding:
    """Settings for a file.

    Args:
        path: the file to write, whose suffix decides what goes in.
        codec: a key of `CODECS`.
        source_format: FFmpeg's name of the source's pixel format.
        crf: 0 to 51, lower is better; the codec's default if None.
        lossless: whether every pixel must stay as it is.

    Raises:
        ValueError: the codec has no such setting.
        MediaError: the codec does not go into such a file, or this FFmpeg build lacks it.
    """
    choice = CODECS[codec]
    suffix = path.suffix.lower()
    if suffix not in choice.suffixes:
        raise MediaError(path, f"codec {codec} goes into {', '.join(choice.suffixes)}; change the name or the codec")
    if lossless and choice.lossless is None:
        able = ", ".join(name for name, other in CODECS.items() if other.lossless is not None)
        raise ValueError(f"`lossless` is not possible with codec {codec}; choose {able}")
    lossless = lossless or choice.options is _fixed
    name = choice.lossless_rgb if lossless and source_format == "gbrp" and choice.lossless_rgb else choice.encoder
    formats = _formats(path, codec, name)
    wanted = _exact_format(source_format, formats) if lossless else _common_format(source_format, choice, formats)
    options = (choice.lossless or {}) if lossless else choice.options(choice.default_crf if crf is None else crf)
    tag = "hvc1" if choice.encoder == "libx265" and suffix != ".mkv" else None  # what Apple's players ask for
    return Encoding(name, wanted, options, tag)


def _formats(path, codec: str, encoder: str) -> list[str]:
    try:
        return [format.name for format in av.Codec(encoder, "w").video_formats or ()]
    except av.codec.codec.UnknownCodecError as error:
        raise MediaError(path, f"codec {codec} is not in this build of FFmpeg; choose h264 or hevc") from error


def _common_format(source: str, codec: Codec, formats: list[str]) -> str:
    """4:2:0, which players show; with more than 8 bits where that is common, too."""
    deep = codec.keeps_depth and source[-2:] == "le"
    names = ("yuv420p10le", "p010le") if deep else ("yuv420p", "nv12")
    return next(name for name in (*names, "nv12", "yuv420p") if name in formats)


def _exact_format(source: str, formats: list[str]) -> str:
    """The source's own format, or the one that loses least."""
    if source in formats:
        return source
    if source == "gbrp":
        return next((name for name in RGB_FORMATS if name in formats), "yuv444p10le")
    kind = "444" if source.startswith("gbr") or "440" in source else source[3:6]
    depths = ("16le", "12le", "10le", "") if source[-2:] == "le" else ("", "10le")
    kinds = dict.fromkeys((kind, "422", "444"))
    return next(name for name in (f"yuv{k}p{depth}" for k in kinds for depth in depths) if name in formats)
