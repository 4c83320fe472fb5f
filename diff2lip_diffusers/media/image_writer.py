"""Writes frames as a folder of numbered PNG files, all or nothing."""

from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin

from ..output_paths import hidden_folder_beside, writing
from .frame import Frame


class ImageFolderWriter:
    """Writes frames as `000000.png`, `000001.png`, … into a new folder, without audio.

    A context manager: the complete folder appears when the block ends. If the block raises, nothing appears.

    Args:
        path: the folder, which must be missing or empty; see `check_output_path`.
        metadata: texts for each file, such as a comment.

    Raises:
        MediaError: on entering, writing or leaving, if the folder cannot be written, e.g. the disk is full.
    """

    def __init__(self, path: str | Path, metadata: dict[str, str] | None = None):
        self.path, self.frame_count = Path(path), 0
        self._texts = PIL.PngImagePlugin.PngInfo()
        for name, text in (metadata or {}).items():
            self._texts.add_text(name.capitalize(), text)

    def __enter__(self) -> "ImageFolderWriter":
        with writing(self.path):
            self._hidden = hidden_folder_beside(self.path)
            self._images = Path(self._hidden.name) / "images"
            self._images.mkdir()
        return self

    def write(self, frame: Frame | np.ndarray) -> None:
        """Appends a frame, or an array uint8 RGB (H, W, 3).

        Raises:
            MediaError: it cannot be written, e.g. the disk is full.
        """
        rgb = frame if isinstance(frame, np.ndarray) else frame.rgb()
        with writing(self.path):
            # Level 1 is fast and gives large files; stronger compression would take longer than everything else.
            PIL.Image.fromarray(rgb).save(
                self._images / f"{self.frame_count:06d}.png", pnginfo=self._texts, compress_level=1
            )
        self.frame_count += 1

    def __exit__(self, error_type, error, traceback) -> None:
        with self._hidden, writing(self.path):
            if error_type is None:
                if self.path.is_dir():
                    self.path.rmdir()
                self._images.replace(self.path)
