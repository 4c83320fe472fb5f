"""Scores of video files by the SyncNet of 2016, in the two ways in which papers prepare its input.

`wav2lip` sees the whole frame, as in the LRS evaluation of Wav2Lip; `joonson` sees tracked faces, as in SyncNet's own
demonstration and in the evaluation on real videos. Videos are read at 25 fps.

Both originals dump frames as JPEG of low quality, and the second one encodes its tracks as MPEG-4 and MP3 before. That
loss is not reproduced here, so scores of real weights differ slightly from those of the scripts.
"""

import importlib.util
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np

from ...boxes import Detection, FaceBox
from ...errors import MediaError
from ...faces.detectors import FaceDetector, load_face_detector
from ...faces.search import find_faces, is_cut
from ...media.reader import INT16_STEPS, read_audio, read_rgb
from .face_tracks import FaceTrack, crop_face, track_scenes
from .mfcc import SAMPLING_RATE
from .network import FRAME_PX, WINDOW_FRAMES, SyncNet2016
from .opencv_resize import resize_bilinear
from .scores import (
    FPS,
    MAX_SHIFT,
    SAMPLES_PER_FRAME,
    FaceEmbedder,
    Syncnet2016Score,
    score_embeds,
    window_count,
)

logger = logging.getLogger(__name__)

PROTOCOLS = ("wav2lip", "joonson")
# What the joonson protocol sets for S3FD: one scale, the least confidence, and the most overlap of two faces.
S3FD_SHRINK, S3FD_CONFIDENCE, S3FD_OVERLAP = 4, 0.9, 0.1


@dataclass(frozen=True)
class TrackScore:
    """Sync of one face track.

    Attributes:
        first_frame: of the track, at 25 fps, from 0.
        last_frame: of the track; inclusive.
        score: of the track.
    """

    first_frame: int
    last_frame: int
    score: Syncnet2016Score


def score_clip(
    video_path: str | Path,
    syncnet: SyncNet2016,
    protocol: str = "wav2lip",
    audio_path: str | Path | None = None,
) -> Syncnet2016Score | list[TrackScore]:
    """Measures a video file by one of PROTOCOLS: [`score_whole_frame`] or [`score_face_tracks`].

    Raises:
        ValueError: if `protocol` is unknown.
        Diff2LipError: as these functions.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"`protocol` is {protocol!r}, known are {', '.join(PROTOCOLS)}")
    score = score_whole_frame if protocol == "wav2lip" else score_face_tracks
    return score(video_path, syncnet, audio_path)


def score_whole_frame(
    video_path: str | Path, syncnet: SyncNet2016, audio_path: str | Path | None = None, max_shift: int = MAX_SHIFT
) -> Syncnet2016Score:
    """Measures a video whose frames, squeezed to 224 x 224 pixels, show one face: protocol `wav2lip`.

    Memory grows by 4 kB a frame, and by the speech.

    Args:
        video_path: a video, or a folder of images.
        syncnet: from [`load_syncnet2016`], on any device.
        audio_path: file with the speech, where that is not in the video; it starts with the first frame.
        max_shift: largest offset in frames; papers use 15.

    Raises:
        ValueError: if `max_shift` is negative.
        MediaError: if a file cannot be read, or there are fewer than 6 frames with speech at 25 fps.
        NoAudioError: if there is no speech.

    Source: Prajwal et al., 2020; SYNCNET2016 sections 2, 3 and 5.
    """
    samples = read_speech(video_path if audio_path is None else audio_path)
    embedder = FaceEmbedder(syncnet)
    for frame in islice(read_rgb(video_path, FPS), len(samples) // SAMPLES_PER_FRAME):
        embedder.add(resize_bilinear(_bgr(frame), FRAME_PX, FRAME_PX))
    if not window_count(embedder.num_frames, len(samples)):
        have = f"{embedder.num_frames} frames with speech at {FPS} fps, and {len(samples) / SAMPLING_RATE:.3f} s of it"
        raise MediaError(video_path, f"has {have}; pass a clip of {WINDOW_FRAMES + 1} frames or more with speech")
    return score_embeds(embedder.embeds(), syncnet, samples, max_shift)


def score_face_tracks(
    video_path: str | Path,
    syncnet: SyncNet2016,
    audio_path: str | Path | None = None,
    face_detector: str | FaceDetector | None = None,
    max_shift: int = MAX_SHIFT,
) -> list[TrackScore]:
    """Measures every face of a video that is seen in more than 100 frames of a scene: protocol `joonson`.

    Reads the video twice. Memory grows by 4 kB a frame and face, and by the speech.

    Args:
        video_path: a video, or a folder of images.
        syncnet: from [`load_syncnet2016`], on any device.
        audio_path: file with the speech, where that is not in the video; it starts with the first frame.
        face_detector: name or function; by default the one that [`default_detector`] names.
        max_shift: largest offset in frames; papers use 15.

    Returns:
        A score for each track, in order of scenes. Empty where no face is seen long enough; tracks behind the end of
        the speech are left out with a warning in the log.

    Raises:
        ValueError: if the detector is unknown, or `max_shift` negative.
        MediaError: if a file cannot be read.
        NoAudioError: if there is no speech.
        Diff2LipError: when the detector's package or weights are missing.

    Source: Chung and Zisserman, 2016; SYNCNET2016 sections 2 to 5.
    """
    samples = read_speech(video_path if audio_path is None else audio_path)
    detector = default_detector() if face_detector is None else face_detector
    detector = load_track_detector(detector, syncnet) if isinstance(detector, str) else detector
    scorers = [_TrackScorer(track, syncnet) for track in find_tracks(video_path, detector)]
    end = max((scorer.track.last_frame + 1 for scorer in scorers), default=0)
    for index, frame in enumerate(islice(read_rgb(video_path, FPS), end)):
        for scorer in scorers:
            scorer.see(index, frame)
    scores = (scorer.score(samples, max_shift) for scorer in scorers)
    return [score for score in scores if score is not None]


def read_speech(path: str | Path) -> np.ndarray:
    """Returns speech as (S,) int16 at 16 kHz, the mean over channels; speech that starts late begins with silence.

    Raises:
        MediaError: as [`read_audio`].
    """
    samples, sampling_rate = read_audio(path)
    if sampling_rate == SAMPLING_RATE:
        return np.rint(samples * INT16_STEPS).astype(np.int16)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLING_RATE)
    frames = _audio_frames(samples, sampling_rate)
    blocks = [block.to_ndarray()[0] for frame in frames for block in resampler.resample(frame)]
    return np.concatenate([np.zeros(0, np.int16), *blocks])


def default_detector() -> str:
    """Name of the detector for face tracks: `"s3fd"`, the original's, where it is installed, else `"mtcnn"`."""
    return "s3fd" if importlib.util.find_spec("face_alignment") else "mtcnn"


def load_track_detector(name: str, syncnet: SyncNet2016) -> FaceDetector:
    """Returns the detector of that name, S3FD with the settings of the original, on the device of `syncnet`.

    Raises:
        ValueError: for an unknown name.
        Diff2LipError: when the detector's package or weights are missing.
    """
    detector = load_face_detector(name, next(syncnet.parameters()).device)
    return s3fd_as_original(detector) if name == "s3fd" else detector


def s3fd_as_original(detector: FaceDetector) -> FaceDetector:
    """Returns a detector that looks at frames of a quarter of the size and keeps sure faces that hardly overlap.

    Source: SYNCNET2016 section 4, step 2.
    """

    def detect(frames: Sequence[np.ndarray]) -> list[list[Detection]]:
        height, width = (max(1, round(extent / S3FD_SHRINK)) for extent in frames[0].shape[:2]) if frames else (1, 1)
        found = detector([resize_bilinear(frame, width, height, S3FD_SHRINK) for frame in frames])
        return [_sure_faces(faces) for faces in found]

    return detect


def find_tracks(video_path: str | Path, detector: FaceDetector) -> list[FaceTrack]:
    """Returns the face tracks of a video at 25 fps; the detector looks at every frame.

    Scenes end where [`is_cut`] sees a cut; the original uses scenedetect 0.5.1.
    """
    faces: list[list[FaceBox]] = []
    scene_starts, last = [0], None
    for index, frame, found in find_faces(enumerate(read_rgb(video_path, FPS)), detector, stride=1):
        if last is not None and is_cut(last, frame):
            scene_starts.append(index)
        last = frame
        faces.append([face.box for face in found])
    return track_scenes(faces, scene_starts)


class _TrackScorer:
    """Embeds one track, frame by frame, and compares it with its speech."""

    def __init__(self, track: FaceTrack, syncnet: SyncNet2016):
        self.track, self.syncnet = track, syncnet
        self.embedder = FaceEmbedder(syncnet)
        self.places = track.crop_places()

    def see(self, index: int, frame: np.ndarray) -> None:
        """Takes the frame of that index, RGB, if it belongs to the track."""
        if self.track.first_frame <= index <= self.track.last_frame:
            self.embedder.add(_bgr(crop_face(frame, self.places[index - self.track.first_frame])))

    def score(self, samples: np.ndarray, max_shift: int) -> TrackScore | None:
        """Returns the score with the speech of the whole video; None where it ends before there are 6 frames."""
        first, last = self.track.first_frame, self.track.last_frame
        spoken = samples[first * SAMPLES_PER_FRAME : (last + 1) * SAMPLES_PER_FRAME]
        if not window_count(self.embedder.num_frames, len(spoken)):
            logger.warning("face track of frames %d to %d has too little speech, left out", first, last)
            return None
        return TrackScore(first, last, score_embeds(self.embedder.embeds(), self.syncnet, spoken, max_shift))


def _bgr(rgb: np.ndarray) -> np.ndarray:
    return rgb[:, :, ::-1]


def _sure_faces(faces: Sequence[Detection]) -> list[Detection]:
    """The sure ones of the faces in a shrunken frame, best first, in pixels of the frame, hardly overlapping."""
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if face.score > S3FD_CONFIDENCE and all(face.box.iou(other.box) <= S3FD_OVERLAP for other in kept):
            kept.append(face)
    return [Detection(face.box.scaled(S3FD_SHRINK, S3FD_SHRINK), face.score) for face in kept]


def _audio_frames(samples: np.ndarray, sampling_rate: int) -> Iterator[av.AudioFrame | None]:
    """Speech as FFmpeg takes it, a second at a time; None at the end, to empty the resampler."""
    for start in range(0, len(samples), sampling_rate):
        part = np.ascontiguousarray(samples[None, start : start + sampling_rate])
        frame = av.AudioFrame.from_ndarray(part, format="flt", layout="mono")
        frame.sample_rate = sampling_rate
        yield frame
    yield None
