"""The model card of a personal model: license, consent, and what was measured."""

from ..portable.model_card_diff2lip import CARD_HEAD
from .base_weights import UNKNOWN, BaseWeights
from .material import Material
from .results import PersonalResults

CARD = (
    CARD_HEAD
    + """
# A Diff2Lip model of one person

Repaints the lower half of this person's face crops ({size} × {size}) so that the lips match 0.2 s of speech. It was
trained from the weights `{base}` with {seconds:.0f} s of video, {speech:.0f} s of them speech, by
`diff2lip personalize`.

```python
import diff2lip_diffusers  # importing registers the plugin with diffusers
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("path/of/this/folder")
diff2lip_diffusers.sync_video(pipe, "face.mp4", "speech.wav", "out.mp4")
```

## Consent

On {consent}, the maker of this model confirmed that the person in the videos agreed to a model of their face. Use it
only for what the person agreed to, and delete it if the person asks for that. A video in which somebody seems to say
what they never said can do harm: tell viewers that the speech is synthesized.

## License

{license}

## What was measured

On the last part of the videos, which was not trained on, with DPM-Solver++ and {steps} steps. The darkness of the
mouth tells how far it is open. `report.html` shows the frames.

{table}
"""
)
KNOWN_LICENSES = {
    "apache-2.0": "The weights that it was trained from are under Apache-2.0. So is this model, as far as the person's"
    " rights in their own image do not limit its use.",
    "cc-by-nc-4.0": "The weights that it was trained from are **CC BY-NC 4.0**: credit the authors of Diff2Lip, no"
    " commercial use. Further training does not change that. See `LICENSE.txt`.",
}
OTHER_LICENSE = (
    "The weights that it was trained from are under the license `{license}`. Further training does not change that."
)
NO_LICENSE = "The model card of the weights that it was trained from names no license: ask their makers."


def model_card(base: BaseWeights, material: Material, results: PersonalResults, consent: str, steps: int) -> str:
    """Returns the card as Markdown.

    Args:
        base: the weights that the model was trained from.
        material: what it was trained on.
        results: what was measured.
        consent: the date of the consent.
        steps: denoising steps of the measurement.
    """
    unknown = base.license == UNKNOWN
    license = NO_LICENSE if unknown else KNOWN_LICENSES.get(base.license, OTHER_LICENSE.format(license=base.license))
    rows = [f"| {name} | {before} | {after} |" for name, before, after in results.table()]
    return CARD.format(
        license_line="" if unknown else f"license: {base.license}\n",
        size=base.size_px,
        # The place of a folder is nobody else's business.
        base=base.name.rstrip("/").rpartition("/")[2],
        seconds=material.seconds,
        speech=material.speech_s,
        consent=consent,
        license=license,
        steps=steps,
        table="\n".join(["| | before | after |", "|---|---|---|", *rows]),
    )
