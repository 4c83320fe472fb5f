"""Packaging: what users install, and what each extra is for."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
# Set it when the repository has a public address: links in the README then work on the package index, too.
REPOSITORY_URL = ""
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "diff2lip_diffusers" / "__init__.py").read_text()).group(1)


def long_description() -> str:
    """Returns the README for the package index, where relative links lead nowhere: absolute, or as plain text."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    if not REPOSITORY_URL:
        return re.sub(r"!?\[([^\]]*)\]\((?!https?://|#)[^)]*\)", r"\1", text)
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?://)", rf"\1{REPOSITORY_URL}/raw/main/", text)
    return re.sub(r"(?<=\]\()(?!https?://|#)", f"{REPOSITORY_URL}/blob/main/", text)


setup(
    name="diff2lip-diffusers",
    version=VERSION,
    description="Diff2Lip for diffusers: lip-sync any face video to any speech",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    project_urls={"Paper": "https://arxiv.org/abs/2308.09716"},
    python_requires=">=3.11",
    py_modules=["diff2lip_command"],  # answers --help without loading the package
    packages=find_packages(include=["diff2lip_diffusers", "diff2lip_diffusers.*"]),
    package_data={
        "diff2lip_diffusers": [
            "py.typed",
            "model_card.md",
            "weights/*",
            "demo/assets/**",
            "app/*.css",
            "live/page/files/*",
            "evaluation/**/*.csv",
            "evaluation/assets/**",
            "evaluation/report/*.css",
        ]
    },
    install_requires=[
        "torch>=2.6",
        "diffusers>=0.42,<1",
        "transformers>=5",  # the feature extractor's base class and mel filters
        "accelerate>=1.10",  # fast loading, CPU offload, launching on several devices
        "safetensors",
        "huggingface_hub>=2",
        "fsspec>=2025.2",  # files with URLs; huggingface_hub brings it, too
        "numpy",
        "pillow",
        "av>=18",  # decoding, encoding and muxing without an ffmpeg program
        "opencv-python-headless>=4.8",  # optical flow and warping, for the detail of painted mouths
        "tqdm",
        "pyyaml",  # the configurations of training runs
        "psutil",  # the processes of a batch: who is alive
    ],
    extras_require={
        "app": ["gradio>=6.31,<7", "starlette", "espeakng-loader"],  # `diff2lip app`; Gradio wants pillow below 13
        "corpus": ["espeakng-loader"],  # espeak-ng and its voices (GPL-3.0), to make speech without any recordings
        "live": ["aiortc>=1.16,<2", "aiohttp", "espeakng-loader"],  # `diff2lip live`: a face over WebRTC
        "livekit": ["livekit-agents>=1.8,<2"],  # integrations/livekit.py: a face for LiveKit's agents
        "pipecat": ["pipecat-ai>=1.14,<2"],  # integrations/pipecat.py: a face for Pipecat's pipelines
        "lora": ["peft"],  # adapters on the U-Net
        "train": ["tensorboard", "peft"],  # curves of a run, and fine-tuning by adapters
        "docs": ["mkdocs-material", "mkdocstrings[python]", "ruff"],  # `make docs`; ruff formats the signatures
        "decord": ["decord"],  # another reader of training clips, faster at random access
        "evaluate": ["torchmetrics>=1.9", "matplotlib"],  # SSIM, MS-SSIM, FID and KID; the figures of a report
        "mediapipe": ["mediapipe>=0.10"],  # landmarks by a model file of the user, for diff2lip evaluate
        "lpips": ["lpips"],  # the perceptual loss; brings torchvision, which must match the installed torch
        "restore": ["spandrel>=0.4.2"],  # face restorers by file; brings torchvision, which must match torch
        "stores": ["s3fs", "aiohttp", "pyarrow"],  # s3:// and https:// as inputs and outputs, and lists in Parquet
        "ray": ["ray[data]>=2.60"],  # `diff2lip batch --engine ray`: workers of a Ray cluster
        "s3fd": ["face-alignment>=1.5"],  # the paper's face detector; downloads its weights at first use
        "provenance": ["c2pa-python>=0.38"],  # signed content credentials in the output
        # A backend of the feature extractor. 2.11 is the last one; it names no torch, but needs that of its number.
        "torchaudio": ["torchaudio>=2.6,<2.12", "torch>=2.6,<2.12"],
        "dev": [
            "pytest",
            "pytest-xdist",
            "ruff",
            "basedpyright",
            "espeakng-loader",
            "torchmetrics>=1.9",
            "matplotlib",
            "scipy",  # reference statistics
            "hypothesis",
            "peft",
            "gradio>=6.31,<7",
            "starlette",
            "gradio_client",  # the page over HTTP
            "httpx",  # the same, with requests that no client sends
            "aiortc>=1.16,<2",  # the live page, and a client of it
            "c2pa-python>=0.38",
            "cryptography",  # certificates for tests
            "nbformat",
            "nbclient",  # runs the notebook in examples/
            "ipykernel",  # in which it runs
            "s3fs",
            "aiohttp",
            "pyarrow",
            "moto[s3]",  # a real S3 server in tests
            "flask",
            "flask-cors",
            "scikit-image",  # a public-domain photo of a face, and reference metrics
        ],
    },
    entry_points={"console_scripts": ["diff2lip = diff2lip_command:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Multimedia :: Video",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
