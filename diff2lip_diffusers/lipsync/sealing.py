"""What an output says about itself: a line of metadata, and on request signed content credentials."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..provenance.credentials import Edit, Signer, check_can_sign
from .options import SyncOptions
from .source_video import SourceVideo


def mark_of(options: SyncOptions) -> dict[str, str]:
    """The metadata that says where an output comes from."""
    if not options.mark:
        return {}
    version = importlib.metadata.version("diff2lip-diffusers")
    return {"comment": f"Speech synthesised: mouth painted to a recording by diff2lip-diffusers {version}"}


def seal_of(
    pipe: Diff2LipPipeline,
    source: SourceVideo,
    audio: str | Path | None,
    output: str | Path,
    options: SyncOptions,
) -> Callable[[Path], None] | None:
    """What signs a complete output before it appears; None without a certificate.

    Raises:
        MediaError: if the output cannot carry content credentials, or the certificate cannot be read.
        Diff2LipError: if the package for them is missing.
    """
    if options.credentials is None:
        return None
    check_can_sign(output)
    signer = Signer(options.credentials)
    speech = options.drive or audio
    edit = Edit(_name_of(pipe), Path(source.path), None if speech is None else Path(speech))
    title = Path(output).name
    return lambda file: signer.sign(file, title, edit)


def _name_of(pipe: Diff2LipPipeline) -> str:
    """Name of the model: of a repository its id, of a folder its name, so that no path of this machine leaks."""
    name = str(pipe.config.get("_name_or_path") or "unnamed")
    return Path(name).name if Path(name).is_dir() else name
