"""Input of the demo: a drawn face that says one sentence, and speech with another sentence.

The files are in the package, so the demo needs neither a network connection nor a speech synthesizer.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..corpus.corpus_folder import CorpusClip
from ..corpus.espeak import speak
from ..corpus.identity import Identity, draw_identity
from ..corpus.make_corpus import CorpusSettings, write_speech, write_text, write_video
from ..corpus.motion import Pose, draw_motion
from ..corpus.mouth_table import read_mouth_table
from ..corpus.utterance import SpokenClip, with_silence
from ..corpus.voices import Voice

ASSETS = Path(__file__).parent / "assets"
FPS, SIZE_PX = 25, 256
SEED = 4711  # odd: not in the training split

FACE_TEXT, FACE_VOICE = "Please wait a moment, the water is almost boiling.", Voice("en", "en", "m6", 150, 45)
SPEECH_TEXT = "Hello! Nobody ever drew me saying this, but my lips know how."
SPEECH_VOICE = Voice("en", "en-us", "f5", 140, 55)


@dataclass(frozen=True)
class DemoClip:
    """The face video, the target speech, and the true mouth parameters of both.

    Attributes:
        video: a drawn face that says something else.
        boxes: face boxes, a detections file.
        speech: the target speech.
        text: of the target speech.
        identity: the drawn person.
        poses: of the head in each frame of the video.
        mouth: (N, 6), the true mouth parameters of the target speech, for each frame.
        own_mouth: (N, 6), those of the speech in the video.
    """

    video: Path
    boxes: Path
    speech: Path
    text: str
    identity: Identity
    poses: list[Pose]
    mouth: np.ndarray
    own_mouth: np.ndarray


def demo_model_folder() -> Path:
    """The model folder in the package: Apache-2.0, for drawn faces only. It needs one to four steps."""
    return ASSETS / "model"


def teacher_folder() -> Path:
    """The weights in the package that the demo's model was distilled from: to train further, or to compare with."""
    return ASSETS / "teacher"


def load_demo_clip(folder: Path = ASSETS) -> DemoClip:
    """The clip in the package, or one that [`write_demo_clip`] wrote."""
    face, speech = (CorpusClip(folder, name, FPS) for name in ("face", "speech"))
    described = speech.read_description()
    own_mouth, mouth = read_mouth_table(face.mouth_table), read_mouth_table(speech.mouth_table)
    seed = described["seed"]
    poses = draw_motion(seed, np.arange(len(own_mouth)) / FPS)
    return DemoClip(
        face.video, face.boxes, speech.speech, described["text"], draw_identity(seed), poses, mouth, own_mouth
    )


def write_demo_clip(folder: Path = ASSETS, text: str = SPEECH_TEXT) -> None:
    """Makes the clip again, or with another target speech; needs espeak-ng. The video is as long as that speech.

    Other versions of espeak-ng give other samples than the clip in the package has.

    Args:
        folder: of the files.
        text: the target speech, in English.

    Raises:
        ValueError: if the text has no words.
        EspeakError: if espeak-ng is not installed.
    """
    speech = _spoken(text, SPEECH_VOICE)
    times_s = np.arange(int(speech.duration_s * FPS)) / FPS
    face = _spoken(FACE_TEXT, FACE_VOICE)
    settings = CorpusSettings(split="test", fps=FPS, size_px=SIZE_PX)
    identity, poses = draw_identity(SEED), draw_motion(SEED, times_s)
    for name, spoken in (("face", face), ("speech", speech)):
        clip = CorpusClip(folder, name, FPS)
        mouth = spoken.mouth_at(times_s)
        write_speech(clip, spoken, mouth)
        described = {"seed": SEED, "text": spoken.text, "voice": asdict(spoken.voice)}
        write_text(clip.description, json.dumps(described, indent=2))
        if name == "face":
            write_video(clip, settings, identity, poses, mouth)
            clip.speech.unlink()


def _spoken(text: str, voice: Voice) -> SpokenClip:
    return with_silence(speak(text, voice.accent, voice.rate_wpm, voice.pitch, voice.variant), text, voice, 0.2, 0.3)
