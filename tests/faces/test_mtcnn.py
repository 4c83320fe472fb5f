import importlib.util
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from skimage import data

from diff2lip_diffusers.boxes import FaceBox
from diff2lip_diffusers.faces.mtcnn import MTCNN, WEIGHTS_PATH, cut_patches, keep_best, make_square, suppress

ROOT = Path(__file__).parents[2]
FACE = FaceBox(173, 70, 275, 200)  # where a person sees the face in skimage's astronaut (NASA, public domain)
FACE_DETECTED = FaceBox(180, 61, 266, 174)  # what MTCNN calls the face: forehead to chin, without ears


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The nets are tiny: several threads gain little, and on a busy machine they wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def mtcnn():
    return MTCNN()


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()


def iou(a: FaceBox, b: FaceBox) -> float:
    width, height = min(a.x2, b.x2) - max(a.x1, b.x1), min(a.y2, b.y2) - max(a.y1, b.y1)
    shared = max(width, 0) * max(height, 0)
    return shared / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - shared)


def moved(box: FaceBox, scale: float = 1, dx: float = 0, dy: float = 0) -> FaceBox:
    return FaceBox(box.x1 * scale + dx, box.y1 * scale + dy, box.x2 * scale + dx, box.y2 * scale + dy)


def test_the_embedded_weights_are_the_published_nets():
    with safe_open(WEIGHTS_PATH, "pt") as weights:
        assert "facenet-pytorch 2.6.0" in weights.metadata()["source"]
        assert weights.metadata()["license"] == "MIT"
    assert sum(tensor.numel() for tensor in load_file(WEIGHTS_PATH).values()) == 495_850
    assert "Copyright (c) 2019 Timothy Esler" in (WEIGHTS_PATH.parent / "MTCNN_LICENSE.txt").read_text()


def greedy_nms(boxes, scores, threshold, of_smaller):
    """The textbook loop: take the best box that is left, drop all that overlap it."""
    kept, left = [], [i for i in range(len(boxes)) if scores[i] > 0]
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes]
    while left:
        first, *left = sorted(left, key=lambda i: -scores[i])
        kept.append(first)
        survivors = []
        for i in left:
            width = min(boxes[i][2], boxes[first][2]) - max(boxes[i][0], boxes[first][0])
            height = min(boxes[i][3], boxes[first][3]) - max(boxes[i][1], boxes[first][1])
            shared = max(width, 0) * max(height, 0)
            whole = min(areas[i], areas[first]) if of_smaller else areas[i] + areas[first] - shared
            if shared / whole <= threshold:
                survivors.append(i)
        left = survivors
    return kept


@pytest.mark.parametrize("of_smaller", [False, True])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_suppression_is_greedy_nms(threshold, of_smaller):
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(4, 60, 2, generator=generator) * 60
    boxes = torch.cat([corners, corners + 10 + 40 * torch.rand(4, 60, 2, generator=generator)], dim=-1)
    scores = torch.rand(4, 60, generator=generator).sort(dim=1, descending=True).values
    scores[:, 50:] = 0
    kept = suppress(boxes, scores, threshold, of_smaller)
    for frame in range(4):
        expected = greedy_nms(boxes[frame].tolist(), scores[frame].tolist(), threshold, of_smaller)
        assert kept[frame].nonzero()[:, 0].tolist() == expected
        assert torch.equal(kept[frame, expected], scores[frame, expected])


def test_suppression_follows_a_long_chain_of_overlaps():
    left = torch.arange(60.0)
    # each overlaps its neighbors
    boxes = torch.stack([left * 4, left * 0, left * 4 + 10, left * 0 + 10], dim=1)[None]
    kept = suppress(boxes, torch.linspace(1, 0.5, 60)[None], 0.4)
    assert kept[0].nonzero()[:, 0].tolist() == list(range(0, 60, 2))


def test_keep_best_sorts_and_limits_each_frame():
    scores = torch.tensor([[0.2, 0.9, 0.0, 0.5], [0.0, 0.0, 0.3, 0.0]])
    boxes = torch.arange(8.0).reshape(2, 4, 1).expand(-1, -1, 4)
    kept_boxes, kept_scores = keep_best(boxes, scores, limit=2)
    assert kept_scores.tolist() == [pytest.approx([0.9, 0.5]), pytest.approx([0.3, 0.0])]
    assert kept_boxes[0, :, 0].tolist() == [1, 3] and kept_boxes[1, 0, 0] == 6
    assert keep_best(boxes, scores, limit=9)[1].shape == (2, 3)


def test_make_square_keeps_the_center():
    assert make_square(torch.tensor([[10.0, 20.0, 30.0, 60.0]])).tolist() == [[0.0, 20.0, 40.0, 60.0]]


@pytest.mark.parametrize("side", [10, 24, 37.5, 60, 110])
def test_patches_of_a_ramp_are_ramps(side):
    """Whatever the scale, a patch of the image f(x, y) = x + 10 y is f at the centers of its pixels."""
    y, x = torch.meshgrid(torch.arange(160) + 0.5, torch.arange(144) + 0.5, indexing="ij")
    frames = torch.stack([x + 10 * y, -x - 10 * y])[:, None].expand(-1, 3, -1, -1)
    boxes = torch.tensor([[16.0, 22.0, 16 + side, 22 + side], [20.0, 12.0, 20 + side, 12 + side]])
    patches = cut_patches(frames, boxes, torch.tensor([1, 0]), 24)
    steps = (torch.arange(24) + 0.5) / 24 * side
    ramp = steps + 10 * steps[:, None]
    expected = torch.stack([-(ramp + 16 + 220), ramp + 20 + 120])[:, None].expand(-1, 3, -1, -1)
    torch.testing.assert_close(patches, expected, rtol=0, atol=0.01)


def test_patches_beyond_the_edge_repeat_it_and_not_the_next_frame():
    frames = torch.stack([torch.full((3, 40, 30), value) for value in (1.0, 2.0, 3.0)])
    boxes = torch.tensor([[-20.0, -20.0, 60.0, 60.0]] * 3)
    patches = cut_patches(frames, boxes, torch.arange(3), 24)
    torch.testing.assert_close(patches.amin(dim=(1, 2, 3)), torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(patches.amax(dim=(1, 2, 3)), torch.tensor([1.0, 2.0, 3.0]))


def test_finds_the_astronaut(mtcnn, astronaut):
    (faces,) = mtcnn.detect([astronaut])
    assert faces[0].score > 0.99
    assert iou(faces[0].box, FACE) > 0.6
    assert iou(faces[0].box, FACE_DETECTED) > 0.9
    assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)


@pytest.mark.parametrize("size", [1024, 256, 128])
def test_boxes_scale_with_the_frame(mtcnn, astronaut, size):
    frame = np.asarray(Image.fromarray(astronaut).resize((size, size), Image.Resampling.LANCZOS))
    best_face = mtcnn.detect([frame])[0][0]
    assert best_face.score > 0.98
    assert iou(best_face.box, moved(FACE_DETECTED, scale=size / 512)) > 0.75


def test_boxes_keep_the_two_scales_of_a_squeezed_frame_apart(astronaut):
    """131 does not divide the sides; x and y must each be scaled back with their own rounding."""
    frame = np.asarray(Image.fromarray(astronaut).resize((470, 512), Image.Resampling.LANCZOS))
    box = MTCNN(max_size_px=131).detect([frame])[0][0].box
    squeezed = FaceBox(FACE_DETECTED.x1 * 470 / 512, FACE_DETECTED.y1, FACE_DETECTED.x2 * 470 / 512, FACE_DETECTED.y2)
    assert iou(box, squeezed) > 0.75


@pytest.mark.parametrize("dx, dy", [(100, 150), (-60, 120), (77, -31)])
def test_boxes_move_with_the_face(mtcnn, astronaut, dx, dy):
    frame = np.roll(astronaut, (dy, dx), axis=(0, 1))
    best_face = mtcnn.detect([frame])[0][0]
    assert best_face.score > 0.95
    assert iou(best_face.box, moved(FACE_DETECTED, dx=dx, dy=dy)) > 0.8


@pytest.mark.parametrize("degrees", [-15, 15])
def test_finds_a_tilted_face(mtcnn, astronaut, degrees):
    center = ((FACE_DETECTED.x1 + FACE_DETECTED.x2) / 2, (FACE_DETECTED.y1 + FACE_DETECTED.y2) / 2)
    frame = np.asarray(Image.fromarray(astronaut).rotate(degrees, Image.Resampling.BICUBIC, center=center))
    best_face = mtcnn.detect([frame])[0][0]
    assert best_face.score > 0.95
    assert iou(best_face.box, FACE_DETECTED) > 0.7


def test_finds_no_face_where_none_is(mtcnn, astronaut):
    def rgb(image):
        return image[:500, :500] if image.ndim == 3 else np.repeat(image[:500, :500, None], 3, axis=2)

    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    for frame in (astronaut[220:], astronaut[:, 290:], noise, noise * 0, *map(rgb, (data.gravel(), data.brick()))):
        assert all(face.score < 0.95 for face in mtcnn.detect([frame])[0])


def test_boxes_are_clipped_to_the_frame(mtcnn, astronaut):
    height, width = 170, 90
    frame = astronaut[75 : 75 + height, 180 : 180 + width]  # cuts into the hair and both cheeks
    faces = mtcnn.detect([frame])[0]
    assert faces
    for box in (face.box for face in faces):
        assert 0 <= box.x1 < box.x2 <= width and 0 <= box.y1 < box.y2 <= height


def test_a_frame_gives_the_same_alone_and_among_others(mtcnn, astronaut):
    frames = [astronaut, astronaut * 0, astronaut[:, ::-1], np.roll(astronaut, 50, axis=1)]
    together = mtcnn.detect(frames)
    assert [len(faces) > 0 for faces in together] == [True, False, True, True]
    for frame, faces in zip(frames, together, strict=True):
        (alone,) = mtcnn.detect([frame])
        assert len(faces) == len(alone)
        for one, other in zip(faces, alone, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-4)
            assert iou(one.box, other.box) > 0.999


def test_candidates_are_capped(astronaut):
    mtcnn = MTCNN(thresholds=(0.0, 0.0, 0.0), max_candidates=16)  # everything passes
    seen = []
    for net in (mtcnn.rnet, mtcnn.onet):
        net.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    faces = mtcnn.detect([astronaut, astronaut])
    assert len(seen) == 2 and max(seen) <= 2 * 16
    assert all(0 < len(found) <= 16 for found in faces)


def test_nothing_in_nothing_out(mtcnn):
    assert mtcnn.detect([]) == []
    assert mtcnn.detect([np.zeros((9, 7, 3), np.uint8)] * 2) == [[], []]
    assert mtcnn.detect([np.zeros((1, 3000, 3), np.uint8)]) == [[]]


@pytest.mark.parametrize(
    "frames",
    [
        [np.zeros((64, 64, 3), np.float32)],
        [np.zeros((64, 64), np.uint8)],
        [np.zeros((64, 64, 4), np.uint8)],
        [np.zeros((64, 64, 3), np.uint8), np.zeros((64, 32, 3), np.uint8)],
        [np.zeros((0, 64, 3), np.uint8)],
    ],
)
def test_wrong_frames_are_named(mtcnn, frames):
    with pytest.raises(ValueError, match=rf"frames\[{len(frames) - 1}\] must"):
        mtcnn.detect(frames)


def test_too_small_a_window_is_an_error():
    with pytest.raises(ValueError, match="min_face_px must be at least 12, got 8"):
        MTCNN(min_face_px=8)


def test_the_conversion_script_prefixes_the_names_and_lets_everyone_read(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location(
        "convert_mtcnn", ROOT / "conversion" / "convert_mtcnn_to_safetensors.py"
    )
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    wheel, output = tmp_path / "some.whl", tmp_path / "out.safetensors"
    with zipfile.ZipFile(wheel, "w") as archive:
        for value, net in enumerate(script.NETS):
            stored = io.BytesIO()
            torch.save({"conv1.weight": torch.full((2,), float(value))}, stored)
            archive.writestr(f"facenet_pytorch/data/{net}.pt", stored.getvalue())
    monkeypatch.setattr("sys.argv", ["convert", str(wheel), str(output)])
    script.main()
    assert output.stat().st_mode & 0o777 == 0o644
    tensors = load_file(output)
    assert {name: tensor[0].item() for name, tensor in tensors.items()} == {
        "pnet.conv1.weight": 0,
        "rnet.conv1.weight": 1,
        "onet.conv1.weight": 2,
    }
