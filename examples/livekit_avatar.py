#!/usr/bin/env python3
"""Gives an agent of LiveKit a face: joins the agent's room and speaks what the agent says.

The agent sends its speech with livekit-agents' `DataStreamAudioOutput`. The room and a token for the face are in the
environment: LIVEKIT_URL and LIVEKIT_TOKEN.

python examples/livekit_avatar.py diff2lip listening.mp4
"""

import asyncio
import os
import sys

from livekit import rtc
from livekit.agents.voice.avatar import AvatarRunner, DataStreamAudioReceiver

from diff2lip_diffusers import load_pipeline
from diff2lip_diffusers.integrations.livekit import Diff2LipVideoGenerator
from diff2lip_diffusers.live import IdleClip, LiveLipSync


async def main(model: str, clip: str) -> None:
    """Speaks until the room is closed."""
    pipe = load_pipeline(model)
    with LiveLipSync(pipe) as engine, engine.open_session(IdleClip(pipe, clip, engine.fps)) as session:
        room, closed = rtc.Room(), asyncio.Event()
        room.on("disconnected", lambda *_: closed.set())
        await room.connect(os.environ["LIVEKIT_URL"], os.environ["LIVEKIT_TOKEN"])
        generator = Diff2LipVideoGenerator(session, sampling_rate=24000)
        receiver = DataStreamAudioReceiver(room)
        runner = AvatarRunner(room, audio_recv=receiver, video_gen=generator, options=generator.options)
        await runner.start()
        await closed.wait()
        await runner.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
