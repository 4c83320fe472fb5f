"""Settings of the page: the models it offers, its limits, and who may see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..demo.demo_clip import demo_model_folder
from ..hub import DTYPES

DEMO_MODEL = "drawn faces (demo)"
DRAWN_SYNCNET = "drawn"
MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class AppSettings:
    """Settings of the page; every field is an option of `diff2lip app`.

    Args:
        models: folders and Hub repositories by the name that the page shows; by default the demo's model, which knows
            drawn faces only.
        device: as in [`load_pipeline`].
        dtype: as in [`load_pipeline`].
        restore: weights of a face restorer that users may switch on; see `SyncOptions`.
        own_syncnet: folder of a SyncNet of yours, which measures the offset of results; `"drawn"` is the one in the
            package, which knows drawn people only. By default it measures results of the demo's model only.
        max_upload_mb: largest file that can be uploaded, in megabytes (10^6 bytes).
        max_duration: longest video, speech and result, in seconds.
        max_pixels: most pixels of a frame.
        max_text: longest text to be spoken, in characters.
        max_jobs: how many jobs may wait or run at a time.
        max_jobs_per_person: how many of them one person may have.
        max_stored_mb: how much all files of all people may take; uploads beyond are refused.
        keep_s: seconds after which files are deleted; those of jobs that wait or run stay.
        personal: whether people may make models of their own faces.
        max_personal_minutes: longest training of such a model.

    Raises:
        ValueError: if a value is out of range.
    """

    models: Mapping[str, str | Path] = field(default_factory=lambda: {DEMO_MODEL: demo_model_folder()})
    device: str | None = None
    dtype: str | None = None
    restore: Path | None = None
    own_syncnet: str | Path | None = None
    max_upload_mb: float = 200
    max_duration: float = 60
    max_pixels: int = 1920 * 1088
    max_text: int = 500
    max_jobs: int = 20
    max_jobs_per_person: int = 2
    max_stored_mb: float = 10_000
    keep_s: float = 3600
    personal: bool = True
    max_personal_minutes: float = 30

    def __post_init__(self):
        if not self.models:
            raise ValueError("`models` is empty, expected a model or more")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise ValueError(f"`dtype` is {self.dtype!r}, known are {', '.join(DTYPES)}")
        for name in ("max_pixels", "max_text", "max_jobs", "max_jobs_per_person"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` is {value!r}, expected a whole number above 0")
        for name in ("max_upload_mb", "max_duration", "max_stored_mb", "keep_s", "max_personal_minutes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise ValueError(f"`{name}` is {value!r}, expected a number above 0")

    @property
    def limits_text(self) -> str:
        """The limits in words, to be read before an upload."""
        return (
            f"Files up to {self.max_upload_mb:g} MB. Video and speech up to {self.max_duration:g} seconds. Frames"
            f" up to {self.max_pixels / 1e6:.1f} megapixels. Files are deleted after {_time_text(self.keep_s)}."
        )


def _time_text(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:g} seconds"
    minutes = round(seconds / 60)
    return "an hour" if minutes == 60 else f"{minutes} minutes"
