"""The tab for lip-sync: a face, speech, options, progress, and the result beside the source."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from ..corpus.reading_voices import DEFAULT_VOICE, VOICES
from ..errors import Diff2LipError
from .desk import Desk
from .first_frame import LARGEST, FirstFrame
from .job_inputs import SHIPPED_FACE, SHIPPED_SPEECH
from .job_line import JobState, QueuedJob, message_of
from .lip_sync_job import LipSyncRequest
from .models import DEFAULT_SCHEDULER, SCHEDULER_NAMES
from .option_inputs import option_input, options_from, shown_options
from .texts import error_html, note_html, numbers_html, status_html

POLL_S = 0.4


def person_of(request: gr.Request) -> str:
    """Who sits at the other end: the name of a login, otherwise one page in a browser."""
    return request.username or request.session_hash or "somebody"


class LipSyncTab:
    """Builds the tab inside of a `gr.Blocks`, and answers its events.

    Args:
        desk: takes the jobs.
        consent: the page's question for consent.
    """

    def __init__(self, desk: Desk, consent: gr.Checkbox):
        self.desk, self.consent = desk, consent
        self._options = shown_options()
        self._build()
        self._connect()

    def _build(self) -> None:
        with gr.Row(equal_height=False):
            with gr.Column(min_width=300):
                self.video = gr.Video(label="Face: a video", sources=["upload", "webcam"], elem_id="face")
                self.drawn_face = gr.Button("Take the drawn face", size="sm", elem_id="drawn-face")
                self.frame = gr.Image(
                    label="Click the face that shall speak",
                    interactive=False,
                    visible=False,
                    buttons=[],
                    elem_id="first-frame",
                )
                self.face = gr.Radio(
                    [LARGEST], value=LARGEST, label="Face that shall speak", visible=False, elem_id="which-face"
                )
            with gr.Column(min_width=300):
                self.speech = gr.Audio(
                    label="Speech: a recording",
                    sources=["upload", "microphone"],
                    type="filepath",
                    buttons=["download"],
                    elem_id="speech",
                )
                self.shipped_speech = gr.Button("Take the shipped sentence", size="sm", elem_id="shipped-speech")
                self.text = gr.Textbox(
                    label="… or text to be spoken",
                    placeholder="What the face shall say",
                    lines=2,
                    max_length=self.desk.settings.max_text,
                    elem_id="text",
                )
                self.voice = gr.Dropdown(
                    list(VOICES), value=DEFAULT_VOICE, label="Voice for the text", elem_id="voice"
                )
        self._build_settings()
        with gr.Row():
            self.start = gr.Button("Lip-sync", variant="primary", elem_id="start", min_width=120)
            self.cancel = gr.Button("Cancel", elem_id="cancel", min_width=120)
        self.status = gr.HTML(elem_id="status")
        with gr.Row(visible=False) as self.results:
            self.source = gr.Video(
                label="Source", interactive=False, elem_id="source", min_width=280, buttons=[], height=360
            )
            self.result = gr.Video(
                label="Result",
                interactive=False,
                elem_id="result",
                min_width=280,
                buttons=["download"],
                height=360,
            )
        self.numbers = gr.HTML(elem_id="numbers")

    def _build_settings(self) -> None:
        names = self.desk.models.names()
        with gr.Accordion("Model and options", open=False, elem_id="options"):
            with gr.Row():
                self.model = gr.Dropdown(names, value=names[0], label="Model", elem_id="model")
                self.scheduler = gr.Dropdown(
                    list(SCHEDULER_NAMES), value=DEFAULT_SCHEDULER, label="Scheduler", elem_id="scheduler"
                )
                self.restore = gr.Checkbox(
                    label="Restore the face",
                    info="By the restorer that the server has.",
                    visible=self.desk.settings.restore is not None,
                )
            self.options = []
            groups = dict.fromkeys(option.group for option in self._options.values())
            for group in groups:
                gr.Markdown(f"**{(group or 'more').capitalize()}**")
                with gr.Row():
                    self.options += [
                        option_input(name, option) for name, option in self._options.items() if option.group == group
                    ]

    def _connect(self) -> None:
        shown = [self.frame, self.face, self.status]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        self.video.change(self._show_face, self.video, shown, **quiet)
        self.frame.select(self._click, self.video, [self.frame, self.face], **quiet)
        self.face.input(self._choose, [self.video, self.face], self.frame, **quiet)
        self.drawn_face.click(lambda: str(SHIPPED_FACE), None, self.video, **quiet)
        self.shipped_speech.click(lambda: str(SHIPPED_SPEECH), None, self.speech, **quiet)
        inputs = [self.consent, self.video, self.speech, self.text, self.voice, self.face]
        inputs += [self.model, self.scheduler, self.restore, *self.options]
        outputs = [self.status, self.results, self.source, self.result, self.numbers]
        self.start.click(
            self.run, inputs, outputs, api_name="lip_sync", concurrency_limit=None, show_progress="hidden"
        )
        self.cancel.click(self._cancel, None, self.status, queue=False, api_name="cancel", show_progress="hidden")

    async def run(
        self, request: gr.Request, consent, video, speech, text, voice, face, model, scheduler, restore, *options
    ) -> AsyncIterator[tuple]:
        """Yields what the page shows while the job waits and runs, and its result at the end.

        It ends the job if nobody looks on any more.
        """
        hidden = gr.update(visible=False)
        try:
            wanted = LipSyncRequest(
                video, speech, text, voice, face, model, scheduler, restore, options_from([*self._options], options)
            )
            job = await asyncio.to_thread(self.desk.lip_sync, person_of(request), consent, wanted)
        except Exception as error:  # whatever a browser sends ends in one line
            yield error_html(message_of(error)), hidden, None, None, ""
            return
        try:
            yield status_html(job, self.desk.line), hidden, None, None, ""
            while not job.is_over:
                await asyncio.sleep(POLL_S)
                yield status_html(job, self.desk.line), gr.skip(), gr.skip(), gr.skip(), gr.skip()
        finally:
            self.desk.line.cancel(job)
        yield self._end(job)

    def _end(self, job: QueuedJob) -> tuple:
        status = status_html(job, self.desk.line)
        if job.state is not JobState.DONE:
            return status, gr.update(visible=False), None, None, ""
        done = job.result
        return status, gr.update(visible=True), str(done.source), str(done.result), numbers_html(done.numbers)

    def _show_face(self, video: str | None):
        if not video:
            return gr.update(visible=False, value=None), gr.update(visible=False, value=LARGEST), ""
        try:
            first = self.desk.first_frame(video)
        except Exception as error:  # the page stays usable whatever the file holds
            return gr.update(visible=False), gr.update(visible=False), error_html(message_of(error))
        several = len(first.faces) > 1
        note = "" if first.faces else note_html("No face is seen in the first frame; it will be looked for later on.")
        radio = gr.update(visible=several, choices=first.names, value=LARGEST)
        return gr.update(visible=bool(first.faces), value=first.drawn(LARGEST)), radio, note

    def _click(self, video: str | None, event: gr.SelectData):
        first = self._first(video)
        if first is None or not isinstance(event.index, (list, tuple)):
            return gr.skip(), gr.skip()
        name = first.name_at(float(event.index[0]), float(event.index[1]))
        return first.drawn(name), name

    def _choose(self, video: str | None, name: str | None):
        first = self._first(video)
        return gr.skip() if first is None else first.drawn(name)

    def _first(self, video: str | None) -> FirstFrame | None:
        try:
            return self.desk.first_frame(video) if video else None
        except Diff2LipError:
            return None

    def _cancel(self, request: gr.Request) -> str:
        count = self.desk.leave(person_of(request))
        return note_html("Canceling …" if count else "There is nothing to cancel.")
