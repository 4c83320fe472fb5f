#!/usr/bin/env python3
"""A pipeline of Pipecat whose bot has a face: says a recording, and writes what a transport would send to a video.

python examples/pipecat_face.py diff2lip listening.mp4 speech.wav out.mp4
"""

import asyncio
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
from pipecat.frames.frames import EndFrame, Frame, OutputImageRawFrame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from diff2lip_diffusers import load_pipeline
from diff2lip_diffusers.integrations.pipecat import Diff2LipVideoProcessor
from diff2lip_diffusers.live import IdleClip, LiveLipSync
from diff2lip_diffusers.live.pacing import int16_of
from diff2lip_diffusers.media.audio_track import AudioTrack
from diff2lip_diffusers.media.reader import read_audio
from diff2lip_diffusers.media.video_writer import VideoWriter


class Recorder(FrameProcessor):
    """Stands where a transport's output would: keeps the speech and its pictures."""

    def __init__(self):
        super().__init__()
        self.pictures: list[np.ndarray] = []
        self.speech = b""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keeps a frame and passes it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputImageRawFrame) and frame.sync_with_audio:
            width, height = frame.size
            self.pictures.append(np.frombuffer(frame.image, np.uint8).reshape(height, width, 3))
        elif isinstance(frame, TTSAudioRawFrame):
            self.speech += frame.audio
        await self.push_frame(frame, direction)


async def main(model: str, clip: str, speech: str, output: str) -> None:
    """Says the recording in chunks of 20 ms, as a speech synthesis does."""
    samples, rate = read_audio(speech)
    data, size = int16_of(samples.mean(axis=0) if samples.ndim == 2 else samples), rate // 50
    chunks = [data[start : start + size].tobytes() for start in range(0, len(data), size)]
    said = [TTSAudioRawFrame(audio=chunk, sample_rate=rate, num_channels=1) for chunk in chunks]
    pipe, recorder = load_pipeline(model), Recorder()
    with LiveLipSync(pipe) as engine, engine.open_session(IdleClip(pipe, clip, engine.fps)) as session:
        worker = PipelineWorker(Pipeline([Diff2LipVideoProcessor(session), recorder]))
        runner = WorkerRunner()
        await runner.add_workers(worker)
        await worker.queue_frames([*said, TTSStoppedFrame(), EndFrame()])
        await runner.run()
        stats, fps = session.stats, engine.fps
    write(output, recorder, fps, rate)
    print(f"{output}: {len(recorder.pictures)} frames at {float(fps):g} per second, {stats.num_late} late")


def write(output: str, recorder: Recorder, fps, rate: int) -> None:
    """Writes pictures and speech to a video."""
    height, width = recorder.pictures[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", "NONE"))
            file.writeframes(recorder.speech)
        track = AudioTrack(path, None, None)
        with VideoWriter(output, width=width, height=height, fps=fps, audio=track) as writer:
            for picture in recorder.pictures:
                writer.write(picture)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
