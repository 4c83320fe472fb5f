"""Protocols of the SyncNet of 2016: whole frames and face tracks of files, and what is refused."""

import logging
import wave
from itertools import islice

import numpy as np
import pytest
import torch
from helpers.face_videos import WOMAN, WOMAN_FACE, on_background, other_person, write_video
from helpers.recorded_syncnet2016 import golden, recorded_audio, recorded_frames, recorded_syncnet
from PIL import Image

from diff2lip_diffusers import FaceBox
from diff2lip_diffusers.boxes import Detection
from diff2lip_diffusers.errors import MediaError, NoAudioError
from diff2lip_diffusers.evaluation.syncnet2016.face_tracks import crop_face
from diff2lip_diffusers.evaluation.syncnet2016.network import EMBED_DIM
from diff2lip_diffusers.evaluation.syncnet2016.opencv_resize import resize_bilinear
from diff2lip_diffusers.evaluation.syncnet2016.protocols import (
    default_detector,
    find_tracks,
    read_speech,
    s3fd_as_original,
    score_clip,
    score_face_tracks,
    score_whole_frame,
)
from diff2lip_diffusers.evaluation.syncnet2016.scores import embed_speech
from diff2lip_diffusers.faces.detectors import load_face_detector
from diff2lip_diffusers.media.reader import read_rgb


class MeanNetwork(torch.nn.Module):
    """Stands in for the network where its numbers don't matter: embeds means, and keeps what it was given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.eval()
        self.frames: list[torch.Tensor] = []
        self.speech: list[torch.Tensor] = []

    def embed_frames(self, frames: torch.Tensor) -> torch.Tensor:
        self.frames.append(frames)
        return frames[:-4].float().mean(dim=(1, 2, 3))[:, None].expand(-1, EMBED_DIM)

    def embed_speech(self, mfcc: torch.Tensor) -> torch.Tensor:
        self.speech.append(mfcc)
        return mfcc.mean(dim=(1, 2, 3))[:, None].expand(-1, EMBED_DIM)


def write_frames(folder, frames):
    """A folder of images, so that nothing is lost."""
    folder.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(np.ascontiguousarray(frame)).save(folder / f"{number:04}.png")
    return folder


def write_samples(path, samples: np.ndarray, rate: int = 16000):
    """A wave file of samples (S,) or (S, channels)."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1 if samples.ndim == 1 else samples.shape[1], 2, rate, 0, "NONE", "NONE"))
        file.writeframes(samples.astype("<i2").tobytes())
    return path


# Whole frames


def test_whole_frames_score_as_recorded(tmp_path):
    frames = recorded_frames(52, 224, 224)[..., ::-1] // 8  # recorded as BGR
    video = write_frames(tmp_path / "frames", frames)
    speech = write_samples(tmp_path / "speech.wav", recorded_audio(32300))
    score = score_clip(video, recorded_syncnet(tmp_path), "wav2lip", speech)
    assert (score.offset_frames, score.num_windows) == (golden()["b_offset"], 45)
    assert score.lse_c == pytest.approx(golden()["b_conf"].item(), rel=1e-5)
    assert score.lse_d == pytest.approx(golden()["b_minval"].item(), rel=1e-5)
    np.testing.assert_allclose(score.frame_confidence, golden()["b_fconfm"], rtol=1e-5, atol=1e-4)


def test_frames_of_any_size_and_rate_are_squeezed_at_25_fps(tmp_path):
    frames = recorded_frames(30, 90, 160)
    video = write_video(tmp_path / "video.mp4", frames, fps=50)
    speech = write_samples(tmp_path / "speech.wav", recorded_audio(16000))
    network = MeanNetwork()
    score = score_whole_frame(video, network, speech)
    assert score.num_windows == 15 - 5
    read = list(read_rgb(video, 25))
    np.testing.assert_array_equal(network.frames[0][7], resize_bilinear(read[7], 224, 224)[..., ::-1])


def test_only_frames_with_speech_are_read(tmp_path):
    video = write_frames(tmp_path / "frames", recorded_frames(40, 32, 32))
    network = MeanNetwork()
    score = score_whole_frame(video, network, write_samples(tmp_path / "speech.wav", recorded_audio(6400 + 639)))
    assert score.num_windows == 10 - 5
    assert sum(len(part) for part in network.speech) == 5
    assert sum(len(part) - 4 for part in network.frames) == 6


@pytest.mark.parametrize(("frames", "samples"), [(5, 16000), (20, 3839), (20, 0)])
def test_short_clips_are_one_error(tmp_path, frames, samples):
    video = write_frames(tmp_path / "frames", recorded_frames(frames, 32, 32))
    speech = write_samples(tmp_path / "speech.wav", recorded_audio(max(samples, 1)))
    with pytest.raises(MediaError, match=r"fps, and .* s of it; pass a clip of 6 frames or more with speech"):
        score_whole_frame(video, MeanNetwork(), speech)


def test_bad_input_is_named(tmp_path):
    video = write_video(tmp_path / "silent.mp4", recorded_frames(10, 32, 32))
    with pytest.raises(NoAudioError, match="silent.mp4: has no audio stream"):
        score_clip(video, MeanNetwork())
    with pytest.raises(MediaError, match="none.mp4"):
        score_clip(tmp_path / "none.mp4", MeanNetwork())
    with pytest.raises(ValueError, match="`protocol` is 'lrs', known are wav2lip, joonson"):
        score_clip(video, MeanNetwork(), "lrs")


# Speech


def test_speech_at_16_khz_is_taken_as_it_is(tmp_path):
    samples = recorded_audio(20000)
    np.testing.assert_array_equal(read_speech(write_samples(tmp_path / "speech.wav", samples)), samples)


def test_other_speech_is_resampled_in_place(tmp_path):
    wave_at = {rate: 9000 * np.sin(2 * np.pi * 300 * np.arange(2 * rate) / rate) for rate in (16000, 44100)}
    stereo = np.stack([wave_at[44100], 0.5 * wave_at[44100]], axis=1).round()
    found = read_speech(write_samples(tmp_path / "speech.wav", stereo, 44100))
    assert found.dtype == np.int16 and abs(len(found) - 32000) <= 2
    # Away from the ends, where the resampler's filter has no neighbors.
    np.testing.assert_allclose(found[200:31800], 0.75 * wave_at[16000][200:31800], atol=20)


# Face tracks


def detector_of(box: FaceBox | None):
    """A detector that sees one face in every frame, or none."""
    return lambda frames: [[] if box is None else [Detection(box, 0.99)] for _ in frames]


@pytest.fixture(scope="module")
def two_scenes(tmp_path_factory):
    """A film with a cut at frame 105."""
    first = on_background([(WOMAN, 40, 60)], 320, 340)
    second = 255 - on_background([(other_person(), 60, 30)], 320, 340)
    return write_video(tmp_path_factory.mktemp("films") / "scenes.mp4", [first] * 105 + [second] * 104)


def test_a_track_is_scored_with_its_own_speech(tmp_path, two_scenes):
    network, box = MeanNetwork(), FaceBox(90, 100, 210, 230)
    speech = recorded_audio(209 * 640)
    scores = score_face_tracks(two_scenes, network, write_samples(tmp_path / "speech.wav", speech), detector_of(box))
    assert [(track.first_frame, track.last_frame) for track in scores] == [(0, 104), (105, 208)]
    assert [track.score.num_windows for track in scores] == [100, 99]
    # The first track gives ten whole batches of windows before the second one begins.
    frame = next(islice(read_rgb(two_scenes, 25), 105, None))
    np.testing.assert_array_equal(network.frames[10][0], crop_face(frame, (65.0, 150.0, 165.0))[..., ::-1])
    own = MeanNetwork()
    embed_speech(own, speech[105 * 640 :], 99)
    assert torch.equal(torch.cat(network.speech)[100:], torch.cat(own.speech))


def test_tracks_behind_the_end_of_the_speech_are_left_out(tmp_path, two_scenes, caplog):
    speech = write_samples(tmp_path / "speech.wav", recorded_audio(110 * 640))
    with caplog.at_level(logging.WARNING):
        scores = score_face_tracks(two_scenes, MeanNetwork(), speech, detector_of(FaceBox(90, 100, 210, 230)))
    assert [track.first_frame for track in scores] == [0]
    assert "frames 105 to 208 has too little speech" in caplog.text


def test_no_face_gives_no_track(tmp_path, two_scenes):
    speech = write_samples(tmp_path / "speech.wav", recorded_audio(64000))
    assert score_face_tracks(two_scenes, MeanNetwork(), speech, detector_of(None)) == []


def test_s3fd_sees_quarter_size_and_keeps_sure_faces_apart():
    sizes = []

    def detector(frames):
        sizes.extend(frame.shape for frame in frames)
        boxes = [(FaceBox(10, 10, 40, 50), 0.95), (FaceBox(11, 10, 41, 50), 0.99), (FaceBox(60, 10, 80, 40), 0.9)]
        return [[Detection(*pair) for pair in boxes] for _ in frames]

    (found,) = s3fd_as_original(detector)([np.zeros((270, 482, 3), np.uint8)])
    assert sizes == [(68, 120, 3)]
    assert found == [Detection(FaceBox(44, 40, 164, 200), 0.99)]


def test_the_default_detector_is_s3fd_where_it_is_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert default_detector() == "mtcnn"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert default_detector() == "s3fd"


@pytest.mark.slow
def test_our_own_detector_finds_the_faces_on_both_sides_of_a_cut(two_scenes):
    first, *_ = find_tracks(two_scenes, load_face_detector("mtcnn"))
    assert (first.first_frame, first.last_frame) == (0, 104)
    x1, y1, x2, y2 = first.boxes.mean(axis=0)
    assert FaceBox(x1 - 40, y1 - 60, x2 - 40, y2 - 60).iou(WOMAN_FACE) > 0.5
