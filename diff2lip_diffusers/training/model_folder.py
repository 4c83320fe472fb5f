"""Saves the result of a run as a pipeline folder that `from_pretrained` loads."""

from pathlib import Path

from ..output_paths import filling_folder
from ..portable.model_card_diff2lip import CARD_HEAD, CONVERTED_LICENSE
from ..portable.pipeline_diff2lip import Diff2LipPipeline

CARD = (
    CARD_HEAD
    + """
# A Diff2Lip model trained with diff2lip-diffusers

Repaints the lower half of face crops ({size} × {size}) so that the lips match 0.2 s of speech. U-Net of
{unet:.1f} M, audio encoder of {audio:.1f} M parameters; weights after {steps} steps. The settings of the
run are in `training.yaml`. {terms}

```python
import diff2lip_diffusers  # importing registers the plugin with diffusers
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("path/of/this/folder")
diff2lip_diffusers.sync_video(pipe, "face.mp4", "speech.wav", "out.mp4")
```

Only with the consent of the person shown: a video in which somebody seems to say what they never said can do harm.
"""
)

CONVERTED_TERMS = (
    "They were trained further from the authors' weights and stay under\n"
    "the license of these, CC BY-NC 4.0: no commercial use."
)
OWN_TERMS = "These weights may be used as the data they were trained on allows."


def save_model_folder(pipe: Diff2LipPipeline, folder: str | Path, steps: int, settings: Path) -> None:
    """Saves a trained pipeline with its model card and the run's settings, each file complete or not at all.

    Args:
        pipe: the pipeline to save.
        folder: the folder to write or to replace.
        steps: number of training steps.
        settings: the YAML file of the run.

    Raises:
        MediaError: if the folder cannot be written.
    """
    with filling_folder(folder) as hidden:
        pipe.save_pretrained(hidden)
        (hidden / "README.md").write_text(_card(pipe, steps), encoding="utf-8")
        (hidden / "training.yaml").write_bytes(settings.read_bytes())


def _card(pipe: Diff2LipPipeline, steps: int) -> str:
    unet, audio = (
        sum(weight.numel() for weight in component.parameters()) / 1e6 for component in (pipe.unet, pipe.audio_encoder)
    )
    license = pipe.config["weights_license"]
    return CARD.format(
        terms=CONVERTED_TERMS if license == CONVERTED_LICENSE else OWN_TERMS,
        license_line=f"license: {license}\n" if license else "",
        size=pipe.unet.config.sample_size,
        unet=unet,
        audio=audio,
        steps=f"{steps:,}",
    )
