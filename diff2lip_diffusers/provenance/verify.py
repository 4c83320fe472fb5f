"""Says what a file tells about being synthesized: metadata, content credentials, watermark."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import Diff2LipError
from ..media.containers import open_input
from ..media.image_files import image_files
from .credentials import CredentialsFinding, read_credentials
from .watermark import WatermarkFinding, find_watermark

OWN_COMMENT = "diff2lip-diffusers"
STATES = {
    "none": "none",
    "invalid": "invalid: the file was changed after it was signed, or the signature is not right",
    "valid": "valid: unchanged since it was signed",
    "trusted": "valid: unchanged since it was signed, by somebody on the list of trust",
}


@dataclass(frozen=True)
class Verification:
    """What a file tells.

    Attributes:
        comment: our line of metadata; None if there is none.
        credentials: what its content credentials say; None if the package for them is missing.
        watermark: whether the picture has our mark.
    """

    comment: str | None
    credentials: CredentialsFinding | None
    watermark: WatermarkFinding

    @property
    def is_marked(self) -> bool:
        """Whether anything says that the file was lip-synced by this program."""
        signed = self.credentials is not None and self.credentials.model is not None
        return self.comment is not None or self.watermark.found or signed

    def as_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return asdict(self) | {"is_marked": self.is_marked}

    def lines(self) -> list[str]:
        """The same in words."""
        found = "found" if self.watermark.found else "not found"
        return [
            f"metadata: {self.comment or 'none of ours'}",
            *_credentials_lines(self.credentials),
            f"watermark: {found} (score {self.watermark.score:.1f})",
        ]


def verify(path: str | Path) -> Verification:
    """Looks for all marks in a video, an image or a folder of images.

    Raises:
        MediaError: if it cannot be read.
    """
    watermark = find_watermark(path)
    try:
        credentials = read_credentials(path)
    except Diff2LipError:  # without the package the other marks still count
        credentials = None
    return Verification(_comment_of(path), credentials, watermark)


def _comment_of(path: str | Path) -> str | None:
    if image_files(path):
        return None
    with open_input(path) as container:
        comments = (value for name, value in container.metadata.items() if name.lower() == "comment")
        return next((comment for comment in comments if OWN_COMMENT in comment), None)


def _credentials_lines(found: CredentialsFinding | None) -> list[str]:
    if found is None:
        return ['content credentials: not looked for; pip install "diff2lip-diffusers[provenance]"']
    lines = [f"content credentials: {STATES.get(found.state, found.state)}"]
    parts = {
        "signed by": found.signer,
        "made by": found.made_by,
        "model": found.model,
        "from": ", ".join(found.ingredients),
        "remarks": ", ".join(found.problems),
    }
    return lines + [f"  {name}: {value}" for name, value in parts.items() if value]
