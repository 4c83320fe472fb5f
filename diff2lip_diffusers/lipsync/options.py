"""The options of a lip-sync job. Each is declared once: its values and help are in the base classes."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, fields
from pathlib import Path
from typing import Any

from ..media.encoders import CODECS
from .option import Option, option
from .option_values import Flag, OptionKind
from .output_options import OutputOptions

# Old names, which still work everywhere, and those that took their place.
OLD_NAMES = {"quality": "crf"}
# Which frame shows the identity, where nobody says otherwise.
REFERENCE = "frame"


@dataclass(frozen=True, kw_only=True)
class SyncOptions(OutputOptions):
    """How [`sync_video`] works; every field is one of its keyword arguments.

    Args:
        num_inference_steps: denoising steps; the pipeline's own number by default.
        eta: weight of the noise in DDIM, in [0, 1].
        guidance_scale: how much the speech counts: the prediction without speech, plus so many times the difference
            that the speech makes. 1 is off; more doubles the work. The pipeline's own scale by default.
        guidance_rescale: how far the contrast that guidance adds is taken back, in [0, 1].
        seed: seed of the noise, which all frames share.
        batch_size: frames sampled at a time; by default 4 on a CPU, 32 elsewhere. Does not change the result.
        mode: where the identity comes from: `"cross"`, as `reference` says; `"reconstruction"`, the first frame, which
            is also repeated as the video; `"random"`, one frame drawn with `seed`.
        reference: which frame shows the model who the person is: `"frame"`, each one itself, as in the paper;
            `"best"`, one of the first 512 that is sharp and frontal and has its mouth nearly shut; or an image or a
            video of the same person, of which the best frame is taken. Frames of another shot or light, which do not
            look like the best one, show themselves. The modes `"reconstruction"` and `"random"` choose for themselves.
        drive: file with the speech that moves the mouth, if another one than `audio` is to be heard.
        segments: who speaks when, where several people or recordings take turns or speak at once: a JSON or CSV file,
            or mappings, with `start` and `end` in seconds, `audio`, `face` as the option of that name, and options of
            its sampling. The people are followed all at once. Without `audio`, the recordings are heard instead of the
            video's own sound while they last.
        rest: let the mouth rest where the speech pauses for 0.2 s or more: what the model hears fades to silence
            within 80 ms. Noise in a pause is told from speech by the model's audio embedding.
        fps: frames a second of the output; the video's own by default, 25 for images.
        length: how long the output is: `"video"`, `"audio"`, the `"shortest"` or the `"longest"` of both. By default
            as long as the video, or as the speech where the video is a single image.
        extend: how a video that is too short is continued: `"pingpong"`, back and forth; `"loop"`; `"freeze"`.
        max_duration: longest output in seconds; a longer one is refused, and a longer recording of speech as well.
        max_pixels: most pixels of a frame; a video with larger ones is refused, a larger still is scaled down; by
            default a little more than 4K, and half of that for stills.
        box: a fixed face box (x1, y1, x2, y2) in pixels instead of detection, for drawn faces for example.
        detector: a name known to `load_face_detector`, or a function that takes a list of frames, uint8 RGB
            (H, W, 3), and returns for each the list of its faces as `Detection`.
        voxceleb2_crop: take the face where VoxCeleb2's face crops have it, instead of detection.
        face: which face to follow: `"largest"`; a number, counted from 0 on the left; or a point (x, y) in pixels on
            it, in the frame where the choice is made.
        pads: pixels to grow every detected box by: top, bottom, left, right.
        detection_stride: run the detector on every that-many-th frame, and on those between where something changes.
        detection_size: longest side in pixels of the thumbnails that the detector sees.
        detections: file that keeps the boxes of all faces: used if it exists, otherwise written. Boxes from it are
            tracked and smoothed as those of a detector are.
        restore: weights of a network that improves the painted part of each frame, a file of any architecture that
            spandrel knows: a face restorer (GFPGAN, RestoreFormer, CodeFormer) or an enlarger (ESRGAN and the like);
            or a function that improves a painted face before it is pasted: takes and returns a square (S, S, 3)
            float32 RGB in [0, 1]; what it returns may be larger. With `detail="video"` a function gets the sharpened
            face, (R, R, 3): R is a multiple of a quarter of the model's S, at most 512 or 2 S, and may differ
            between stretches.
        restore_strength: how much of what the network of `restore` makes is shown, in [0, 1].
        detail: `"video"` gives the painted mouth the detail that other frames of the video show; `"none"` enlarges it
            plainly. Images and mode `"reconstruction"` have no other frames.
        detail_from: more videos of the same person, whose frames give detail, too.
        mask: a video, a folder of numbered images or one image, as large as the face video and with as many frames:
            white where it must not be painted, because a hand or a microphone is before the face.
        keep_occluders: leave out places where the painted part does not fit the frame at its border, as at a hand or a
            microphone before the face. Found by differences alone: beards and lowered chins may be kept, too.
        codec: how the video is compressed, a key of `CODECS`; by default H.264, HEVC for HDR.
        crf: quality of the video, 0 to 51 (CRF), lower is better; by default the eye cannot tell the frames from the
            source.
        lossless: keep every pixel that is not painted to the bit.
        hwaccel: decode the face video on another chip: a name of FFmpeg's such as `"cuda"`, one of
            `media.containers.HARDWARE_DECODERS`. A codec that the chip does not know is decoded on the CPU.
        mark: say in the file's metadata that the speech is synthesized, and by which program.
        cache_dir: folder on a local disk for copies of inputs that have URLs, and for outputs until they are
            uploaded; `~/.cache/diff2lip` by default. The processes of a machine share it.
        cache_gb: the most that these copies take, in 10^9 bytes.
        allow_remote: whether inputs may come from the web, `http://` and `https://`; private addresses are refused.
        watermark: mark the picture invisibly as lip-synced, so that `verify` finds it after compression and scaling.
        credentials: a PEM file with a private key and the chain of its certificates, which sign content credentials
            (C2PA) into an output of mp4 or mov. Signed files are never byte-identical.
        reproduce: do what the original does to the letter: 25 fps, its smoothing, whole boxes pasted with a hard seam,
            16 kHz mono audio, no frame beyond the last complete audio window, an error at a frame without a face.

    Raises:
        ValueError: if a value is out of range, or two contradict each other.
    """

    reproduce: bool = option(False, Flag(), "do what the original program does to the letter")
    quality: InitVar[int | None] = None  # see OLD_NAMES

    def __post_init__(self, quality: int | None):
        if quality is not None and self.crf is None:
            object.__setattr__(self, "crf", quality)
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None or one.default is not None:
                object.__setattr__(self, one.name, _checked(one.name, OPTIONS[one.name].kind, value))
        self._check_combinations()
        if self.watermark and (self.lossless or self.reproduce):
            raise ValueError("`watermark` changes every pixel a little; leave out `lossless` and `reproduce`")

    def _check_combinations(self) -> None:
        if self.box is not None and self.voxceleb2_crop:
            raise ValueError("`box` and `voxceleb2_crop` exclude each other; pass one of them")
        if self.detections is not None and not self.detects:
            raise ValueError("`detections` is of no use where `box` or `voxceleb2_crop` says where the face is")
        if self.reproduce and (self.length not in (None, "shortest") or self.restore is not None):
            raise ValueError("`reproduce` does what the original does; leave out `length` and `restore`")
        if self.reproduce and (self.mask is not None or self.keep_occluders):
            raise ValueError("`reproduce` does what the original does; leave out `mask` and `keep_occluders`")
        if self.reproduce and (self.rest or self.drive is not None):
            raise ValueError("`reproduce` does what the original does; leave out `rest` and `drive`")
        if self.reference not in (None, "frame") and (self.reproduce or self.mode != "cross"):
            raise ValueError('`reference` needs mode "cross", without `reproduce`; leave it out')
        if self.segments is not None:
            self._check_beside_segments()
        if self.detail_from and not self.takes_detail:
            raise ValueError('`detail_from` needs `detail` "video", without `reproduce` and mode reconstruction')
        if self.crf is not None and (self.lossless or (self.codec and CODECS[self.codec].default_crf is None)):
            raise ValueError("`crf` cannot be chosen with `lossless`, prores or ffv1; leave it out")

    def _check_beside_segments(self) -> None:
        given = {
            "drive": self.drive is not None,
            "face": self.face != "largest",
            "box": self.box is not None,
            "voxceleb2_crop": self.voxceleb2_crop,
            "reproduce": self.reproduce,
            "mode": self.mode != "cross",
            "reference": isinstance(self.reference, Path),
            "detail_from": bool(self.detail_from),
        }
        name = next((name for name, is_given in given.items() if is_given), None)
        if name is not None:
            raise ValueError(f"`segments` says who speaks, and to what; leave out `{name}`")

    @property
    def shown_reference(self) -> str | Path:
        """Which frame shows the identity in mode `"cross"`: `"frame"`, `"best"`, or a file."""
        return "frame" if self.reproduce or self.mode != "cross" else self.reference or REFERENCE

    @property
    def files(self) -> tuple[str | Path, ...]:
        """The files that are read, beside the video, the audio and those of segments."""
        named = self.drive, self.mask, *self.detail_from
        reference = (self.reference,) if isinstance(self.reference, Path) else ()
        return *(path for path in named if path is not None), *reference

    @property
    def takes_detail(self) -> bool:
        """Whether other frames can give the painted mouth detail."""
        return self.detail == "video" and not self.reproduce and self.mode != "reconstruction"

    @property
    def detects(self) -> bool:
        """Whether a detector has to find the faces."""
        return self.box is None and not self.voxceleb2_crop


# What is known of each field of `SyncOptions`, by its name.
OPTIONS: Mapping[str, Option] = {one.name: one.metadata["option"] for one in fields(SyncOptions)}


def _checked(name: str, kind: OptionKind, value: Any) -> Any:
    try:
        return kind.checked(value)
    except ValueError as error:
        raise ValueError(f"`{name}` is {value!r}, expected {kind.expected}") from error


def checked_options(options: dict[str, Any], function: str) -> SyncOptions:
    """The options of a call of `function`.

    Raises:
        TypeError: if there is no such option.
        ValueError: if a value is out of range, or two contradict each other.
    """
    unknown = next((name for name in options if name not in OPTIONS and name not in OLD_NAMES), None)
    if unknown is not None:
        raise TypeError(f"{function}() has no option {unknown!r}; known are {', '.join(OPTIONS)}")
    return SyncOptions(**options)
