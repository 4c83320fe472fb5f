"""What is heard in an output: a file's audio, or the recordings of a dialogue over the video's own sound."""

from pathlib import Path

from ..errors import NoAudioError
from ..media.audio_mix import AudioMix, Recording
from ..media.audio_track import AudioTrack
from .options import SyncOptions
from .plan import JobPlan
from .source_video import SourceVideo

# What the original does to every clip.
ORIGINAL_SAMPLING_RATE, ORIGINAL_CHANNELS = 16000, 1


def heard_audio(
    source: SourceVideo, audio: str | Path | None, plan: JobPlan, options: SyncOptions
) -> AudioTrack | AudioMix:
    """The audio of an output.

    Args:
        source: the video.
        audio: the file to be heard; None for the video's own audio, or in a dialogue for its recordings, which replace
            the video's own audio while they last.
        plan: of the job.
        options: of the job.

    Raises:
        MediaError: a file cannot be read.
        NoAudioError: it has no audio.
    """
    if audio is not None or options.segments is None:
        wanted = (ORIGINAL_SAMPLING_RATE, ORIGINAL_CHANNELS) if options.reproduce else (None, None)
        return AudioTrack(source.path if audio is None else audio, *wanted)
    stated = [(segment.stated.audio, segment.start_s, segment.end_s) for segment in plan.segments if segment.stated]
    recordings = [Recording(*segment) for segment in stated]
    return AudioMix(recordings, None if source.info.is_still or not _has_audio(source) else source.path)


def _has_audio(source: SourceVideo) -> bool:
    if Path(source.path).is_dir():
        return False
    try:
        AudioTrack(source.path, None, None)
    except NoAudioError:
        return False
    return True
