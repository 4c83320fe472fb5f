"""Scores of the SyncNet of 2016: recorded embeddings, distances, offset and confidence, and what is refused."""

import numpy as np
import pytest
import torch
from helpers.recorded_syncnet2016 import golden, recorded_audio, recorded_frames, recorded_syncnet

from diff2lip_diffusers.evaluation.syncnet2016.network import EMBED_DIM, SyncNet2016
from diff2lip_diffusers.evaluation.syncnet2016.scores import (
    FaceEmbedder,
    embed_speech,
    score_embeds,
    score_of_shifts,
    shift_distances,
    window_count,
)

# Name, frames, samples and divisor of the frames' levels of the recorded clips.
CLIPS = [("a", 12, 16000, 1), ("b", 52, 32300, 8)]


@pytest.fixture(scope="module")
def syncnet(tmp_path_factory) -> SyncNet2016:
    return recorded_syncnet(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module", params=CLIPS, ids=lambda clip: clip[0])
def clip(request, syncnet):
    """Name, embeddings of all frames, samples."""
    name, frames, samples, divisor = request.param
    embedder = FaceEmbedder(syncnet)
    for frame in recorded_frames(frames, 224, 224) // divisor:
        embedder.add(frame)
    return name, embedder.embeds(), recorded_audio(samples)


def test_embeddings_equal_the_recording(clip, syncnet):
    name, face_embeds, samples = clip
    count = len(golden()[f"{name}_lip"])
    assert window_count(len(face_embeds) + 4, len(samples)) == count
    for found, kind in ((face_embeds[:count], "lip"), (embed_speech(syncnet, samples, count), "aud")):
        recorded = golden()[f"{name}_{kind}"]
        np.testing.assert_allclose(found.numpy(), recorded, rtol=0, atol=1e-5 * np.abs(recorded).max())


def test_distances_and_scores_equal_the_recording(clip, syncnet):
    name, face_embeds, samples = clip
    count = len(golden()[f"{name}_lip"])
    distances = shift_distances(face_embeds[:count], embed_speech(syncnet, samples, count))
    np.testing.assert_allclose(distances.numpy(), golden()[f"{name}_dists"], rtol=1e-5)
    for max_shift, prefix in ((15, name), (10, f"{name}_v10")):
        score = score_embeds(face_embeds, syncnet, samples, max_shift)
        check_score(score, prefix, offset_is_unique=name != "a")
        assert score.num_windows == count


SHIFTED = [(count, max_shift) for count in (40, 9) for max_shift in (15, 10)]


@pytest.mark.parametrize(("count", "max_shift"), SHIFTED)
def test_scores_of_shifted_vectors_equal_the_recording(count, max_shift):
    prefix = f"s{count}_v{max_shift}"
    i, k = np.arange(count)[:, None], np.arange(EMBED_DIM)
    faces = curve(i + 100, k)
    speech = curve(i + 103, k) + 0.5 * ((31 * i + 17 * k) % 101 / 50 - 1)
    distances = shift_distances(*(torch.from_numpy(part.astype(np.float32)) for part in (faces, speech)), max_shift)
    np.testing.assert_allclose(distances.numpy(), golden()[f"{prefix}_dists"], rtol=1e-5)
    score = score_of_shifts(distances)
    assert score.offset_frames == 3
    check_score(score, prefix)


def curve(q, k):
    return (37 * q**2 + q * (13 * k + 7) + 5 * k**2) % 257 / 128 - 1


def check_score(score, prefix: str, offset_is_unique: bool = True) -> None:
    recorded = {name: golden()[f"{prefix}_{name}"].tolist() for name in ("mdist", "offset", "minval", "conf")}
    if offset_is_unique:
        assert score.offset_frames == recorded["offset"]
    assert score.lse_d == pytest.approx(recorded["minval"], rel=1e-5)
    assert score.lse_c == pytest.approx(recorded["conf"], rel=1e-5, abs=1e-5 * recorded["minval"])
    np.testing.assert_allclose(score.mean_distances[::-1], recorded["mdist"], rtol=1e-5)
    offset = len(score.mean_distances) // 2 + score.offset_frames
    assert score.mean_distances[offset] == score.lse_d
    if f"{prefix}_fconfm" in golden():
        smoothed = golden()[f"{prefix}_fconfm"]
        np.testing.assert_allclose(score.frame_confidence, smoothed, rtol=1e-5, atol=1e-5 * recorded["minval"])


@pytest.mark.parametrize(
    ("frames", "samples", "windows"), [(12, 16000, 7), (52, 32300, 45), (6, 3840, 1), (6, 3839, 0), (5, 99999, 0)]
)
def test_number_of_windows(frames, samples, windows):
    assert window_count(frames, samples) == windows


@pytest.mark.parametrize("frames", [5, 6, 14, 15, 25])
def test_every_window_is_embedded_once_and_few_frames_are_held(frames):
    syncnet = CountingNetwork().eval()
    embedder = FaceEmbedder(syncnet)
    for number in range(frames):
        embedder.add(np.full((2, 2, 3), number, np.uint8))
    assert embedder.embeds()[:, 0].tolist() == list(range(frames - 4))
    assert embedder.embeds().shape == (frames - 4, EMBED_DIM)
    assert syncnet.most_frames <= 14
    assert embedder.num_frames == frames


class CountingNetwork(torch.nn.Module):
    """Embeds a window as the level of its first frame."""

    most_frames = 0

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def embed_frames(self, frames: torch.Tensor) -> torch.Tensor:
        self.most_frames = max(self.most_frames, len(frames))
        return frames[:-4, 0, 0, :1].float().expand(-1, EMBED_DIM)


def test_fewer_than_five_frames_give_no_window(syncnet):
    embedder = FaceEmbedder(syncnet)
    embedder.add(np.zeros((224, 224, 3), np.uint8))
    assert embedder.embeds().shape == (0, EMBED_DIM)


def test_short_clips_are_one_error(syncnet):
    with pytest.raises(ValueError, match="covers 5 frames and `samples` 25, expected 6 or more"):
        score_embeds(torch.zeros(1, EMBED_DIM), syncnet, np.zeros(16000, np.int16))
    with pytest.raises(ValueError, match="too few for 1 windows"):
        embed_speech(syncnet, np.zeros(3000, np.int16))


def test_bad_arguments_are_named(syncnet):
    embeds = torch.zeros(3, EMBED_DIM)
    with pytest.raises(ValueError, match="`samples` is float32, expected raw int16"):
        embed_speech(syncnet, np.zeros(16000, np.float32))
    with pytest.raises(ValueError, match="`max_shift` is -1"):
        shift_distances(embeds, embeds, -1)
    with pytest.raises(ValueError, match="have shapes"):
        shift_distances(embeds, embeds[:2])
    with pytest.raises(ValueError, match="training mode"):
        FaceEmbedder(CountingNetwork().train())
