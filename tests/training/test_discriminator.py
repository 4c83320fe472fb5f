"""The sequence discriminator sees the painted half of a sequence, and learns to tell two kinds apart."""

import torch

from diff2lip_diffusers.training.discriminator import SequenceDiscriminator, finest_detail
from diff2lip_diffusers.training.losses import discriminator_loss, painted_mask


def test_it_scores_patches_of_the_painted_half_alone():
    torch.manual_seed(0)
    discriminator = SequenceDiscriminator().eval()
    frames, mask = torch.rand(10, 3, 64, 64), painted_mask(64)
    scores = discriminator(frames, frames, mask)
    assert scores.shape == (2, 1, 4, 8)
    other = frames.clone()
    other[:, :, :32] = 0
    assert torch.equal(discriminator(other, frames, mask), scores)
    assert torch.equal(discriminator(frames, other, mask), scores)
    # The order of the frames is what it judges; each sample on its own.
    other = frames.clone()
    other[:5] = frames[:5].flip(0)
    changed = discriminator(other, frames, mask)
    assert not torch.allclose(changed[0], scores[0], atol=1e-4)
    torch.testing.assert_close(changed[1], scores[1])


def test_it_may_see_the_reference_frame_of_each_sample():
    torch.manual_seed(0)
    discriminator = SequenceDiscriminator(sees_reference=True).eval()
    frames, references, mask = torch.rand(10, 3, 64, 64), torch.rand(10, 3, 64, 64), painted_mask(64)
    scores = discriminator(frames, references, mask)
    other = references.clone()
    other[:, :, :32] = 0
    assert torch.equal(discriminator(frames, other, mask), scores)
    other = references.clone()
    other[:5] = 0
    changed = discriminator(frames, other, mask)
    assert not torch.allclose(changed[0], scores[0], atol=1e-4)
    torch.testing.assert_close(changed[1], scores[1])


def test_finest_detail_is_that_of_single_pixels():
    # A checkerboard is all detail, a slope has none: except at its ends, blurring it changes nothing.
    row = torch.arange(16.0)
    checkers = ((row[:, None] + row) % 2 * 2 - 1).expand(1, 2, 16, 16)
    torch.testing.assert_close(finest_detail(checkers)[..., 2:-2, 2:-2], checkers[..., 2:-2, 2:-2])
    slope = (row[:, None] + 2 * row).expand(1, 2, 16, 16)
    assert finest_detail(slope)[..., 2:-2, 2:-2].abs().max() < 1e-5


def test_it_tells_amplified_detail_apart_that_it_hardly_notices_otherwise():
    losses = {}
    for gain in (0, 8):
        torch.manual_seed(0)
        discriminator, mask = SequenceDiscriminator(1, detail_gain=gain), painted_mask(32)
        optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
        for _ in range(40):
            sharp = torch.rand(8, 3, 1, 1) + 0.05 * torch.randn(8, 3, 32, 32)
            soft = sharp - finest_detail(sharp)
            true, painted = (discriminator(frames, frames, mask) for frames in (sharp, soft))
            loss = discriminator_loss(true, painted).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses[gain] = loss.item()
    assert losses[8] < 0.15 < 0.2 < losses[0]


def test_it_learns_to_tell_still_frames_from_moving_ones():
    torch.manual_seed(0)
    discriminator, mask = SequenceDiscriminator(), painted_mask(16)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
    for _ in range(40):
        # Pictures of one colour each: five colours after one another, or one that stays.
        moving, still = (2 * torch.rand(count, 3, 1, 1).expand(-1, -1, 16, 16) - 1 for count in (40, 8))
        still = still.repeat_interleave(5, dim=0)
        true, painted = (discriminator(frames, frames, mask) for frames in (moving, still))
        loss = discriminator_loss(true, painted).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
