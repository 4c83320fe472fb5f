"""Converts the weights in the facenet-pytorch 2.6.0 wheel to diff2lip_diffusers/weights/mtcnn.safetensors.

    pip download --no-deps facenet-pytorch==2.6.0
    python conversion/convert_mtcnn_to_safetensors.py facenet_pytorch-2.6.0-py3-none-any.whl \
        diff2lip_diffusers/weights/mtcnn.safetensors

The tensors do not change; their names get the name of the net as a prefix (pnet.conv1.weight). The wheel is by Tim
Esler, under the MIT license: see diff2lip_diffusers/weights/MTCNN_LICENSE.txt.
"""

import argparse
import io
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

NETS = ("pnet", "rnet", "onet")
METADATA = {
    "format": "pt",
    "source": "facenet-pytorch 2.6.0 by Tim Esler, facenet_pytorch/data/{pnet,rnet,onet}.pt",
    "license": "MIT",
    "paper": "Zhang et al. 2016, Joint Face Detection and Alignment using Multi-task Cascaded CNNs",
}


def read_nets(wheel: Path) -> dict[str, torch.Tensor]:
    """Returns the tensors of the three nets in `wheel`, each name prefixed with the name of its net."""
    tensors = {}
    with zipfile.ZipFile(wheel) as archive:
        for net in NETS:
            stored = io.BytesIO(archive.read(f"facenet_pytorch/data/{net}.pt"))
            state = torch.load(stored, map_location="cpu", weights_only=True)
            tensors.update({f"{net}.{name}": tensor.contiguous() for name, tensor in state.items()})
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="facenet_pytorch-2.6.0-py3-none-any.whl")
    parser.add_argument("output", type=Path, help="the safetensors file to write")
    arguments = parser.parse_args()
    save_file(read_nets(arguments.wheel), arguments.output, metadata=METADATA)
    arguments.output.chmod(0o644)  # safetensors makes it 0600, which would reach the wheel and other users' installs


if __name__ == "__main__":
    main()
