"""Records `tests/data/inception.npz`: features, FID and KID of torch-fidelity 0.4.0 with made-up weights.

PYTHONPATH=tests python conversion/record_inception_features.py WEIGHTS.pth tests/data/inception.npz
"""

import sys

import numpy as np
import torch
from helpers.recorded_inception import SIZES, SUBSET_SIZE, SUBSETS, images, made_up_weight, two_sets
from torch import library as torch_operators


def main(weights: str, result: str) -> None:
    _stub_torchvision()
    from torch_fidelity import calculate_metrics, feature_extractor_inceptionv3  # pyright: ignore[reportMissingImports]

    extractor = feature_extractor_inceptionv3.FeatureExtractorInceptionV3
    _write_weights(extractor, feature_extractor_inceptionv3, weights)
    extract = extractor("seeded", ["2048"], weights)
    features = {
        f"features_{name}": extract(torch.from_numpy(images(0, 1, *size)))[0].numpy() for name, size in SIZES.items()
    }
    one, other = (_Images(pixels) for pixels in two_sets())
    found = calculate_metrics(
        input1=one,
        input2=other,
        cuda=False,
        fid=True,
        kid=True,
        kid_subset_size=SUBSET_SIZE,
        kid_subsets=SUBSETS,
        feature_extractor_weights_path=weights,
        verbose=False,
        cache=False,
    )
    distances = {"fid": found["frechet_inception_distance"], "kid": found["kernel_inception_distance_mean"]}
    np.savez_compressed(result, **distances, **features)
    print(distances, {name: (array.mean(), array.std()) for name, array in features.items()})


class _Images(torch.utils.data.Dataset):
    def __init__(self, pixels: np.ndarray):
        self._pixels = torch.from_numpy(pixels)

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self._pixels[index]


def _write_weights(extractor, module, path: str) -> None:
    """Writes made-up weights under the names and shapes of torch-fidelity's network."""
    module.load_state_dict_from_url = lambda *_, **__: {}
    strict = extractor.load_state_dict
    extractor.load_state_dict = lambda *_: None
    shapes = {name: tuple(tensor.shape) for name, tensor in extractor("empty", ["2048"]).state_dict().items()}
    extractor.load_state_dict = strict
    torch.save(
        {name: torch.from_numpy(np.asarray(made_up_weight(name, shape))) for name, shape in shapes.items()}, path
    )


def _stub_torchvision() -> None:
    """Declares the operators of a torchvision that was built for another torch; nothing here calls them."""
    library = torch_operators.Library("torchvision", "DEF")
    for name in ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d"):
        library.define(f"{name}(Tensor x) -> Tensor")
        library.define(f"_{name}_backward(Tensor x) -> Tensor")
    globals()["_library"] = library


if __name__ == "__main__":
    main(*sys.argv[1:])
