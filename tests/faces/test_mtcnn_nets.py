from pathlib import Path

import numpy as np
import pytest
import torch

from diff2lip_diffusers.faces.mtcnn import MTCNN

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_nets_agree_with_facenet_pytorch(name):
    """The file was recorded from the nets of facenet-pytorch 2.6.0, on the astronaut's face and on noise."""
    recorded = np.load(DATA / "mtcnn_nets.npz")
    patches = (torch.from_numpy(recorded[f"{name}_input"]).float() - 127.5) / 128
    scores, offsets = getattr(MTCNN(), name)(patches)
    assert recorded[f"{name}_scores"].max() > 0.99  # one of the inputs is a face
    np.testing.assert_allclose(scores, recorded[f"{name}_scores"], atol=1e-5)
    np.testing.assert_allclose(offsets, recorded[f"{name}_offsets"], atol=1e-5)
