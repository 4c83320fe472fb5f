"""The sync score: offsets that were planted are found, distances are those of the closed form."""

import math

import pytest
import torch

from diff2lip_diffusers.sync_score import SyncScore, clip_embeds, offset_distances, score_of_distances, sync_score
from diff2lip_diffusers.syncnet import SyncNet, sync_mel_windows

SMALL = {"input_size": 48, "block_out_channels": (4, 6, 8, 10, 12), "embed_dim": 16}


def on_circle(angles: torch.Tensor) -> torch.Tensor:
    """Unit vectors at angles; two of them are 2 sin(difference / 2) apart."""
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


def brightness_net() -> SyncNet:
    """A SyncNet whose vectors are (a, b) scaled to length 1: a the mean of what it sees or hears, b constant."""
    syncnet = SyncNet(48, (2, 2, 2, 2, 2), 2).eval()
    with torch.no_grad():
        for encoder in (syncnet.face_encoder, syncnet.audio_encoder):
            for number, block in enumerate(encoder):
                convolution, norm = block.conv_block
                norm.eps = 0.0
                convolution.weight.zero_()
                convolution.bias.zero_()
                if not block.residual:
                    # Of the first layer's channels all, later the one that carries a.
                    carried = convolution.weight[0] if number == 0 else convolution.weight[0, 0]
                    carried.fill_(1 / carried.numel())
            encoder[-1].conv_block[0].bias[1] = 0.25
        # Mel values of -4 to 4 become 0 to 1, as pictures are.
        first = syncnet.audio_encoder[0].conv_block[0]
        first.weight /= 8
        first.bias[0] = 0.5
    return syncnet


def test_distances_are_those_of_the_closed_form():
    angles = torch.linspace(0, 1.2, 40)
    step = (angles[1] - angles[0]).item()
    distances = offset_distances(on_circle(angles), on_circle(angles), max_offset=6)
    assert list(distances) == list(range(-6, 7))
    for offset, distance in distances.items():
        assert distance == pytest.approx(2 * math.sin(abs(offset) * step / 2), abs=1e-6)


@pytest.mark.parametrize("planted", [-9, -1, 0, 4, 12])
def test_a_planted_offset_of_vectors_is_found(planted):
    angles = torch.rand(90, generator=torch.Generator().manual_seed(3)) * math.pi / 2
    first = 20
    faces, sounds = on_circle(angles[first : first + 50]), on_circle(angles[first - planted : first - planted + 50])
    score = score_of_distances(offset_distances(faces, sounds, 15))
    assert (score.offset_frames, score.lse_d) == (planted, pytest.approx(0, abs=1e-6))
    # The mean distance of two points drawn evenly from a quarter of the circle.
    quarter = math.pi / 2
    spread = torch.linspace(0, quarter, 2001, dtype=torch.float64)
    expected = torch.trapezoid(2 * (quarter - spread) / quarter**2 * 2 * (spread / 2).sin(), spread).item()
    assert score.lse_c == pytest.approx(expected, abs=0.08)


def test_lse_c_is_the_median_less_the_least():
    assert score_of_distances({-2: 0.9, -1: 0.7, 0: 0.8, 1: 0.2, 2: 1.0}) == SyncScore(
        offset_frames=1, lse_c=pytest.approx(0.6), lse_d=0.2
    )


def test_of_equal_distances_the_nearest_offset_counts():
    assert score_of_distances(dict.fromkeys(range(-3, 4), 0.5)) == SyncScore(0, 0.0, 0.5)


@pytest.mark.parametrize(("count", "reach"), [(100, 15), (20, 10), (5, 2), (2, 1)])
def test_half_of_a_short_clip_overlaps(count, reach):
    vectors = on_circle(torch.rand(count))
    assert max(offset_distances(vectors, vectors, 15)) == reach


def test_vectors_are_of_every_frame_and_the_sound_from_there_on():
    torch.manual_seed(0)
    syncnet = SyncNet(**SMALL).eval()
    crops, mel = torch.rand(75, 3, 32, 32) * 2 - 1, torch.randn(80, 245)
    faces, sounds = clip_embeds(syncnet, crops, mel, 25)
    # 71 windows of 5 frames have pictures, and sound: the last one begins at step int(80 * 70 / 25) = 224 < 245 - 16.
    assert faces.shape == sounds.shape == (71, 16)
    for n in (0, 1, 63, 64, 70):
        with torch.no_grad():
            face, sound = syncnet(syncnet.face_input(crops[None, n : n + 5]), sync_mel_windows(mel, [n]))
        torch.testing.assert_close(faces[n], face[0])
        torch.testing.assert_close(sounds[n], sound[0])


def test_windows_end_where_the_sound_does():
    syncnet = SyncNet(**SMALL).eval()
    # Frame 9 begins at step 28 and needs steps to 44; frame 10 would begin at 32 and needs 48.
    assert len(clip_embeds(syncnet, torch.zeros(30, 3, 48, 48), torch.zeros(80, 47), 25)[0]) == 10
    assert len(clip_embeds(syncnet, torch.zeros(30, 3, 48, 48), torch.zeros(80, 48), 25)[0]) == 11


def test_bytes_are_taken_as_pictures():
    syncnet = SyncNet(**SMALL).eval()
    pictures = torch.randint(0, 256, (8, 3, 48, 48), dtype=torch.uint8)
    from_bytes = clip_embeds(syncnet, pictures, torch.zeros(80, 40), 25)[0]
    torch.testing.assert_close(from_bytes, clip_embeds(syncnet, pictures / 127.5 - 1, torch.zeros(80, 40), 25)[0])


@pytest.mark.parametrize("planted", [-7, 0, 5])
def test_a_planted_offset_of_a_clip_is_found(planted):
    # Pictures as bright as the sound is loud, which a net that measures both compares.
    loudness = torch.rand(120, generator=torch.Generator().manual_seed(1))
    frames = torch.arange(80) + 20
    crops = (2 * loudness[frames] - 1)[:, None, None, None].expand(-1, 3, 48, 48)
    at_step = (torch.arange(260) / 3.2).long() + 20 - planted
    mel = (8 * loudness[at_step] - 4).expand(80, -1)
    score = sync_score(brightness_net(), crops, mel, 25)
    assert score.offset_frames == planted
    assert score.lse_c > 0.05


def test_wrong_arguments_are_named():
    syncnet = SyncNet(**SMALL)
    crops, mel = torch.zeros(20, 3, 48, 48), torch.zeros(80, 64)
    with pytest.raises(ValueError, match="`syncnet` is in training mode"):
        sync_score(syncnet, crops, mel)
    with pytest.raises(ValueError, match="`max_offset` is -1, expected 0 or more"):
        sync_score(syncnet.eval(), crops, mel, max_offset=-1)
    with pytest.raises(ValueError, match="`crops` has 5 frames and `mel` 64 steps, expected 6 frames"):
        sync_score(syncnet, crops[:5], mel)
    with pytest.raises(ValueError, match="`crops` has 20 frames and `mel` 10 steps"):
        sync_score(syncnet, crops, mel[:, :10])
