"""Loading of an original checkpoint by diffusers' name for it, `from_single_file`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar


class SingleFileMixin:
    """Adds `from_single_file`, for which the package supplies the reader of the authors' layout."""

    _single_file_reader: ClassVar[Callable | None] = None

    @classmethod
    def from_single_file(cls, pretrained_model_link_or_path: str | Path, **kwargs) -> Any:
        """Returns the pipeline of an original checkpoint.

        Args:
            pretrained_model_link_or_path: a file, `hf:OWNER/REPO/FILE`, or the address of a file on the Hub.
            **kwargs: `dtype`, `revision`, `token`, `cache_dir`; components such as `scheduler`, which replace those
                of the checkpoint; and what the file does not contain: `head_channels`, `norm_groups`, `sample_size`
                and `license`, as in `convert_checkpoint`.

        Raises:
            ImportError: if the package is not installed.
            Diff2LipError: if the file is missing, or not a complete checkpoint.
            ValueError: if an argument is unknown, or does not fit the checkpoint.
        """
        if cls._single_file_reader is None:
            raise ImportError(
                "`from_single_file` needs the whole package: pip install diff2lip-diffusers, and import it"
            )
        return cls._single_file_reader(pretrained_model_link_or_path, **kwargs)
