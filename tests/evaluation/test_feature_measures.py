"""LPIPS, FID, KID and FVD: from files of weights to the numbers of a system."""

import json
import shutil
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from helpers.evaluation_networks import write_i3d, write_inception, write_lpips
from helpers.face_videos import WOMAN, WOMAN_FACE, write_video
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from diff2lip_diffusers.boxes import FaceBox
from diff2lip_diffusers.evaluation.aligned_frames import AlignedFrame
from diff2lip_diffusers.evaluation.clips import Clip
from diff2lip_diffusers.evaluation.measures.choice import make_groups
from diff2lip_diffusers.evaluation.measures.group import ClipView
from diff2lip_diffusers.evaluation.measures.lpips import LpipsGroup
from diff2lip_diffusers.evaluation.measures.over_all_clips import measure_over_all_clips
from diff2lip_diffusers.evaluation.measures.stored_features import (
    OUTPUT,
    REFERENCE,
    features_file,
    features_place,
    write_features,
)
from diff2lip_diffusers.evaluation.options import EvaluateOptions
from diff2lip_diffusers.evaluation.perceptual import load_distance
from diff2lip_diffusers.evaluation.run import evaluate

BOX = [*(float(edge) for edge in (WOMAN_FACE.x1, WOMAN_FACE.y1, WOMAN_FACE.x2, WOMAN_FACE.y2)), 1.0]


class Features(torch.nn.Module):
    """Features as they are, for metrics that expect a network."""

    num_features = 6

    def forward(self, features):
        return features


@pytest.fixture
def view(tmp_path):
    clip = Clip("a", {"ours": tmp_path / "ours.mp4"}, tmp_path / "reference.mp4")
    return ClipView(clip, "ours", Fraction(25), [WOMAN_FACE], True, features_place(tmp_path, "ours"))


def noisy(seed=0):
    noise = np.random.default_rng(seed).normal(0, 20, WOMAN.shape)
    return (WOMAN + noise).clip(0, 255).astype(np.uint8)


def write_clips(folder, count, frames, with_boxes=False, changed=lambda pixels: pixels):
    folder.mkdir()
    for number in range(count):
        moving = [changed(np.roll(WOMAN, index + 5 * number, axis=1)) for index in range(frames)]
        write_video(folder / f"{number}.mp4", moving, crf=10)
        if with_boxes:
            head = {"format": "diff2lip-detections", "version": 1, "width": 240, "height": 280, "fps": "25"}
            lines = [head, *[[BOX]] * frames, {"frames": frames}]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (folder / f"{number}.boxes.jsonl").write_text(text)
    return folder


def test_lpips_is_the_mean_distance_of_every_fifth_frame_at_its_size(view, tmp_path):
    distance = load_distance(write_lpips(tmp_path / "lpips.pt"))
    group, frames = LpipsGroup(view, distance), [noisy(seed) for seed in range(7)]
    for index, pixels in enumerate(frames):
        group.add(AlignedFrame(index, pixels, WOMAN, WOMAN_FACE if index < 5 else FaceBox(0, 0, 40, 40)))
    found = group.values()

    def distance_of(pixels, reference):
        pair = (torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 127.5 - 1 for image in (pixels, reference))
        return float(distance(*pair))

    part = slice(138, 204), slice(64, 164)  # the lower half of the face
    wholes = [distance_of(frames[index], WOMAN) for index in (0, 5)]
    assert found["lpips"] == pytest.approx(np.mean(wholes), rel=1e-5)
    # A part of 20 pixels is too small.
    assert found["lpips_painted"] == pytest.approx(distance_of(frames[0][part], WOMAN[part]), rel=1e-5)


def test_features_of_whole_frames_and_painted_parts_are_stored(view, tmp_path):
    options = EvaluateOptions(measures=("fid",), inception=write_inception(tmp_path / "inception.pth"))
    factory = make_groups(options)["fid"]
    network = factory.keywords["network"]
    for _ in range(2):  # the second time, the reference is known
        group = factory(view)
        for index in range(6):
            group.add(AlignedFrame(index, noisy(index), WOMAN, None if index else WOMAN_FACE))
        assert group.values() == {}
        part = slice(138, 204), slice(64, 164)
        expected = {
            ("fid", OUTPUT): [noisy(0), noisy(5)],
            ("fid", REFERENCE): [WOMAN, WOMAN],
            ("fid_painted", OUTPUT): [noisy(0)[part]],
            ("fid_painted", REFERENCE): [WOMAN[part]],
        }
        for (measure, side), images in expected.items():
            stored = np.load(features_file(view.features, measure, side))
            tensors = [torch.from_numpy(image.copy()).permute(2, 0, 1)[None] for image in images]
            np.testing.assert_array_equal(stored, torch.cat([network(tensor) for tensor in tensors]).numpy())


def test_distances_of_all_clips_are_torchmetrics(tmp_path):
    draw = np.random.default_rng(0)
    sides = {side: draw.normal(side == OUTPUT, 1, size=(30, 6)).astype(np.float32) for side in (OUTPUT, REFERENCE)}
    folders = [tmp_path / name for name in "abc"]
    for folder, output, reference in zip(
        folders, *(np.split(sides[side], [4, 11]) for side in (OUTPUT, REFERENCE)), strict=True
    ):
        folder.mkdir()
        write_features(features_place(folder, "A/B"), "fid", list(output), list(reference))
    found, problems = measure_over_all_clips(folders, ["A/B", "none"], ["picture", "fid", "fvd"])
    with warnings.catch_warnings(action="ignore"):
        kid = KernelInceptionDistance(feature=Features(), subset_size=30)
    metrics = FrechetInceptionDistance(feature=Features()), kid
    for metric in metrics:
        metric.set_dtype(torch.float64)
        for side, features in sides.items():
            metric.update(torch.from_numpy(features).double(), real=side == REFERENCE)
    theirs = {"fid": float(metrics[0].compute()), "kid": float(metrics[1].compute()[0])}
    assert found == {"A/B": pytest.approx(theirs, rel=1e-5), "none": {}}
    assert [(problem.clip, problem.system, problem.reason.split(":")[0]) for problem in problems] == [
        ("all clips", "A/B", "fid_painted"),
        ("all clips", "A/B", "fvd"),
        ("all clips", "none", "fid"),
        ("all clips", "none", "fid_painted"),
        ("all clips", "none", "fvd"),
    ]


def test_a_system_that_equals_the_truth_has_distances_of_0(tmp_path):
    truth = write_clips(tmp_path / "truth", 2, 33, with_boxes=True)
    dark = write_clips(tmp_path / "dark", 2, 33, changed=lambda pixels: pixels // 2)
    weights = {"lpips": write_lpips(tmp_path / "lpips.pt"), "i3d": write_i3d(tmp_path / "i3d.pt")}
    systems, measures = {"truth": truth, "dark": dark}, ("lpips", "fvd", "fid")
    found = evaluate(None, tmp_path / "report", truth, systems, measures=measures, **weights).results
    same, other = found.systems
    assert {name: same.value(name) for name in found.measures()} == {"lpips": 0, "lpips_painted": 0, "fvd": 0}
    assert all((other.value(name) or 0) > 0.01 for name in found.measures())
    # Each of 16 frames has half the color in a range of 2.
    assert other.overall["fvd"] == pytest.approx(16 * np.sum((WOMAN.mean(axis=(0, 1)) / 255) ** 2), rel=0.1)
    assert found.left_out == {"fid": "reference videos and Inception weights (--inception FILE)"}
    assert found.problems == []


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_report(tmp_path):
    truth = write_clips(tmp_path / "truth", 3, 33, with_boxes=True)
    noise = write_clips(tmp_path / "noise", 3, 33, changed=lambda pixels: (pixels + noisy()) // 2)
    weights = {
        "lpips": write_lpips(tmp_path / "lpips.pt"),
        "inception": write_inception(tmp_path / "inception.pth"),
        "i3d": write_i3d(tmp_path / "i3d.pt"),
    }
    reports = []
    for workers in (1, 2):
        options = {"measures": ("lpips", "fid", "fvd"), "workers": workers, **weights}
        found = evaluate(None, tmp_path / "report", truth, {"truth": truth, "noise": noise}, **options).results
        reports.append((tmp_path / "report" / "report.json").read_bytes())
        shutil.rmtree(tmp_path / "report")
    assert reports[0] == reports[1]
    same, other = found.systems
    assert [same.overall[name] for name in ("fid", "fid_painted", "fvd")] == [0, 0, 0]
    assert min(other.overall[name] for name in ("fid", "fid_painted", "fvd")) > 0
    assert other.overall["kid"] > same.overall["kid"]
