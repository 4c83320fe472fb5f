"""Options of a personal model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import MediaError
from ..faces.detectors import FACE_DETECTORS
from ..lipsync.options import SyncOptions

SHIPPED_MODEL = Path(__file__).parent.parent / "demo" / "assets" / "teacher"
# Sentences for the report that the person never said: those of the demo.
SHIPPED_SPEECH = Path(__file__).parent.parent / "demo" / "assets" / "speech.wav"


@dataclass(frozen=True)
class PersonalizeOptions:
    """Options of a personal model; every field but `consent` is an option of `diff2lip personalize`.

    Args:
        consent: whether the person in the videos agreed to this model of their face. It must be true, and is kept in
            the model card.
        model: folder of the weights to start from, or repository on the Hub. By default the teacher of the small
            model in the package, which knows drawn faces only.
        lora_rank: rank of an adapter that is trained instead of all weights; 0 trains all weights.
        minutes: time for everything after the preparation of the videos.
        max_train_steps: largest number of optimizer steps; fewer, if they do not fit into `minutes`.
        train_batch_size: frames per step.
        learning_rate: peak learning rate. By default 6e-4, or 2e-3 for an adapter.
        freeze_audio_encoder: whether the audio encoder is not trained.
        speech: audio or video file with other speech, for the preview and the report. By default a sentence in the
            package.
        face: which face to follow if several people are in view: a number from 0 on the left, or a point (x, y).
        detector: name of the face detector, as in `SyncOptions`.
        mixed_precision: `"no"`, `"fp16"` or `"bf16"`.
        seed: decides everything that is drawn at random.

    Raises:
        ValueError: if a value is out of range.
    """

    consent: bool = False
    model: str | Path = SHIPPED_MODEL
    lora_rank: int = 0
    minutes: float = 30.0
    max_train_steps: int = 1500
    train_batch_size: int = 8
    learning_rate: float | None = None
    freeze_audio_encoder: bool = True
    speech: str | Path = SHIPPED_SPEECH
    face: str | int | Sequence[float] = "largest"
    detector: str = "mtcnn"
    mixed_precision: str = "no"
    seed: int = 0

    def __post_init__(self):
        for name, smallest in (("lora_rank", 0), ("max_train_steps", 1), ("train_batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
                raise ValueError(f"`{name}` is {value!r}, expected a whole number, {smallest} or more")
        for name in ("minutes", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` is {value!r}, expected a number above 0")
        if self.detector not in FACE_DETECTORS:
            raise ValueError(f"`detector` is {self.detector!r}, known are {', '.join(FACE_DETECTORS)}")
        SyncOptions(face=self.face)
        if not Path(self.speech).is_file():
            raise MediaError(self.speech, "no such file; name a recording of speech (--speech)")

    @property
    def chosen_face(self) -> bool:
        """Whether the caller said which face is meant."""
        return self.face != "largest"

    def result_options(self) -> dict:
        """Options that change the model, as stored in JSON; a resumed run must have the same."""
        chosen = asdict(self)
        for name in ("consent", "minutes", "speech"):
            del chosen[name]
        face = self.face
        return chosen | {"model": str(self.model), "face": list(face) if isinstance(face, (tuple, list)) else face}
