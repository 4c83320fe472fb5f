"""The model card of a pipeline on the Hub: how to use it, and the license of its weights."""

import shutil
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download

CONVERTED_LICENSE = "cc-by-nc-4.0"  # of the authors' weights, which converting does not change
CARD_NAME, LICENSE_NAME = "README.md", "LICENSE.txt"
# diffusers' own card says so.
EMPTY_CARD = "automatically generated"
# What the Hub reads of a card.
CARD_HEAD = """---
{license_line}library_name: diffusers
pipeline_tag: image-to-video
tags:
  - lip-sync
  - talking-head
  - diffusers
---
"""
CARD = (
    CARD_HEAD
    + """
# A Diff2Lip pipeline

Repaints the lower half of face crops ({size} × {size}) so that the lips match 0.2 s of speech.

## License

{license}

## Use

```sh
pip install diff2lip-diffusers
```

```python
import diff2lip_diffusers  # importing registers the plugin with diffusers
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("{name}")
diff2lip_diffusers.sync_video(pipe, "face.mp4", "speech.wav", "out.mp4")
```
{remote_code}
Only with the consent of the person shown: a video in which somebody seems to say what they never said can do harm.
"""
)
REMOTE_CODE = """
Without the package, this repository's own code paints face crops:

```python
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("{name}", trust_remote_code=True)
images = pipe(face_crops, audio=speech, sampling_rate=16000, fps=25).frames
```
"""
LICENSE_OF_CONVERTED = (
    "The weights are those of the authors of Diff2Lip, or were trained from them: **CC BY-NC 4.0**. Credit the"
    " authors, no commercial use. Converting or training them further does not change that."
)
LICENSE_OF_OTHERS = "The weights are under the license `{license}`."
NO_LICENSE = (
    "The makers of these weights have named no license: they may be used as the data they were trained on allows.\n"
    "Weights that were trained further from those of the authors of Diff2Lip stay under their license, CC BY-NC 4.0."
)


class ModelCardMixin:
    """Uploads a pipeline with its model card and license, instead of diffusers' empty card."""

    config: Any  # that of the pipeline
    unet: Any

    def _upload_folder(self, working_dir: str | Path, repo_id: str, *args, **kwargs) -> str:
        """diffusers calls this with the files of `push_to_hub` and `save_pretrained(push_to_hub=True)`."""
        write_model_card(self, working_dir, repo_id)
        return super()._upload_folder(working_dir, repo_id, *args, **kwargs)  # pyright: ignore


def write_model_card(pipe: Any, folder: str | Path, name: str, remote_code: bool = False) -> None:
    """Writes the model card of a pipeline to a folder, unless a person has written one there.

    The card and the license of the folder that the pipeline was loaded from come along.

    Args:
        pipe: the pipeline.
        folder: where `README.md` and `LICENSE.txt` are written.
        name: repository or folder that the card tells to load.
        remote_code: whether the folder carries the pipeline's code.
    """
    card = Path(folder) / CARD_NAME
    if card.is_file() and EMPTY_CARD not in card.read_text(encoding="utf-8"):
        return
    own_card, license_text = _source_file(pipe, CARD_NAME), _source_file(pipe, LICENSE_NAME)
    if own_card and not remote_code:
        shutil.copyfile(own_card, card)
    else:
        card.write_text(model_card(pipe, name, remote_code), encoding="utf-8")
    if license_text:
        shutil.copyfile(license_text, Path(folder) / LICENSE_NAME)


def _source_file(pipe: Any, name: str) -> Path | None:
    """A file of the folder or repository that a pipeline was loaded from; None if it has none."""
    source = pipe.config.get("_name_or_path")
    if not source:
        return None
    if Path(source).is_dir():
        path = Path(source) / name
        return path if path.is_file() else None
    try:
        return Path(hf_hub_download(source, name))
    except (OSError, RuntimeError, ValueError):  # no such file, not to be read, no connection
        return None


def model_card(pipe: Any, name: str, remote_code: bool = False) -> str:
    """Returns a card that names the license of the weights; arguments as in [`write_model_card`]."""
    license = license_of(pipe)
    known = LICENSE_OF_CONVERTED if license == CONVERTED_LICENSE else LICENSE_OF_OTHERS.format(license=license)
    return CARD.format(
        license_line=f"license: {license}\n" if license else "",
        size=pipe.unet.config.sample_size,
        license=known if license else NO_LICENSE,
        name=name,
        remote_code=REMOTE_CODE.format(name=name) if remote_code else "",
    )


def license_of(pipe: Any) -> str | None:
    """Returns the license of a pipeline's weights: that of its configuration, or of the card that came with it."""
    if pipe.config.get("weights_license"):
        return pipe.config["weights_license"]
    card = _source_file(pipe, CARD_NAME)
    if card is None:
        return None
    front = card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0]
    lines = [line.partition(":")[2].strip() for line in front.splitlines() if line.startswith("license:")]
    return lines[0] if lines and lines[0] else None
