"""Opens media files: only containers that are named here, and never another file that one of them names."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer
from av.error import ArgumentError, FFmpegError

from ..errors import MediaError
from .raw_streams import check_raw_stream

# FFmpeg's names of the containers and raw streams that are read. None of them names other files: playlists, lists,
# descriptions of streams, numbered images and scripts are missing, and so is text, which FFmpeg would draw.
VIDEO_FORMATS = (
    "mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "mxf", "ogg", "dv", "gif", "apng", "ivf",
    "yuv4mpegpipe", "nut", "mjpeg", "h264", "hevc", "av1", "obu", "m4v", "mpegvideo", "vc1",
)  # fmt: skip
AUDIO_FORMATS = (
    "wav", "w64", "aiff", "au", "caf", "flac", "mp3", "aac", "ac3", "eac3", "dts", "amr", "amrnb", "amrwb", "ape",
    "wv", "tta", "voc",
)  # fmt: skip
# The largest frame of H.264's level 5.1: a little more than 4K.
MAX_PIXELS = 4096 * 2304
# Of larger frames in a video, few are held in memory at a time, also where that takes longer.
LARGE_PIXELS = 2560 * 1440
# Of frames that take more memory, fewer still: those of 4K with more than 8 bits, or with full chroma.
HEAVY_BYTES = 16 << 20
# A heavy frame of a video may take so much memory for each pixel of the limit: by default 25 MB, which is 3840 x 2160
# with 10 bits in 4:2:0, or with 8 bits in 4:4:4.
MAX_BYTES_PER_PIXEL = 2.65
# Larger stills are scaled down to this many: half of 4K takes half the memory, and is as sharp as most screens.
MAX_STILL_PIXELS = 2560 * 1920
# Whatever the limit, no frame with more pixels is decoded: 8K has half as many.
LARGEST_PIXELS = 2**26
UNKNOWN = "is not a video or audio file"
# Decoders of this FFmpeg on other chips; whether the machine has such a chip shows when a file is opened.
HARDWARE_DECODERS = tuple(hwdevices_available())


@contextmanager
def open_input(path: str | Path, hwaccel: str | None = None) -> Iterator[InputContainer]:
    """Opens a file and closes it when the block ends.

    Args:
        path: the file.
        hwaccel: one of `HARDWARE_DECODERS`, which decodes the video if it knows its codec.

    Raises:
        MediaError: the file is missing, a folder, empty, not readable or not a media file of a known kind, or the
            hardware decoder does not work.
    """
    check_regular(path)
    try:
        check_raw_stream(path)
        container = _opened(path) if hwaccel is None else _opened_for(hwaccel, path)
    except (FFmpegError, OSError) as error:
        raise MediaError(path, _why_unreadable(error)) from error
    with container:
        yield container


def _opened(path: str | Path, hwaccel: HWAccel | None = None) -> InputContainer:
    options = {
        "format_whitelist": ",".join((*VIDEO_FORMATS, *AUDIO_FORMATS)),
        "protocol_whitelist": "file",
        "max_pixels": str(LARGEST_PIXELS),  # also where FFmpeg decodes frames to find the streams
    }
    # "file:" keeps FFmpeg from taking a colon in the name for a protocol.
    return av.open(f"file:{path}", metadata_errors="replace", options=options, hwaccel=hwaccel)


def _opened_for(hwaccel: str, path: str | Path) -> InputContainer:
    with suppress(FFmpegError, OSError):
        return _opened(path, HWAccel(hwaccel))
    _opened(path).close()  # raises what is wrong with the file
    raise MediaError(path, f"the hardware decoder {hwaccel} does not work on this machine; leave out --hwaccel")


def check_regular(path: str | Path) -> None:
    """Makes sure that a path does not lead to an empty file, a pipe or a device.

    Raises:
        MediaError: it does.
    """
    file = Path(path)
    try:
        if file.is_file() and file.stat().st_size == 0:
            raise MediaError(path, "is empty (0 bytes); copy or download it again")
        check_no_pipe(file)
    except OSError as error:
        raise MediaError(path, _why_unreadable(error)) from error


def check_no_pipe(path: Path) -> None:
    """Makes sure that a path does not lead to a pipe or a device: nobody may write to it, and it can be read once.

    Raises:
        MediaError: it does.
        OSError: links lead to themselves.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise MediaError(path, "is a pipe or a device, which cannot be read twice; pass a file")


def _why_unreadable(error: FFmpegError | OSError) -> str:
    causes = {
        FileNotFoundError: "no such file; check the path",
        IsADirectoryError: "is a folder; pass a file",
        PermissionError: "cannot be read (permission denied); check its permissions",
        ArgumentError: f"{UNKNOWN} of a known kind; convert it to mp4 or wav, or download it again",
    }
    unknown = f"{UNKNOWN} ({error.strerror or error}); convert or download it again"
    return next((reason for cause, reason in causes.items() if isinstance(error, cause)), unknown)
