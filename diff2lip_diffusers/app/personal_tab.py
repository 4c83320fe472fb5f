"""The tab for a model of one person: videos, progress with live previews, and the model to take home."""

import asyncio
from collections.abc import AsyncIterator

import gradio as gr

from .desk import MY_FACE, Desk
from .job_line import JobState, QueuedJob, message_of
from .lip_sync_tab import LipSyncTab, person_of
from .texts import error_html, note_html, status_html, table_html

POLL_S = 1.0
DEFAULT_MINUTES = 5
ABOUT = (
    "Trains the model on videos of you, so that it paints your mouth as it is. It takes 8 seconds of speech or more,"
    " with one face in view. The previews show frames that it was not trained on. At the end the model is in the list"
    " of models of the tab Lip-sync, for you only, and you can take it home."
)


class PersonalTab:
    """Builds the tab inside of a `gr.Blocks`, and answers its events.

    Args:
        desk: takes the jobs.
        consent: the page's question for consent.
        lip_sync: the other tab, which offers the finished model.
    """

    def __init__(self, desk: Desk, consent: gr.Checkbox, lip_sync: LipSyncTab):
        self.desk, self.consent, self.lip_sync = desk, consent, lip_sync
        self._build()
        self._connect()

    def _build(self) -> None:
        settings, names = self.desk.settings, self.desk.models.names()
        gr.Markdown(ABOUT)
        with gr.Row():
            with gr.Column(min_width=300):
                self.videos = gr.File(
                    label="Videos of you", file_count="multiple", file_types=["video"], elem_id="my-videos"
                )
            with gr.Column(min_width=300):
                self.model = gr.Dropdown(names, value=names[0], label="Model to start from", elem_id="my-base")
                self.minutes = gr.Slider(
                    1,
                    max(2, settings.max_personal_minutes),
                    value=min(DEFAULT_MINUTES, settings.max_personal_minutes),
                    step=1,
                    label="Minutes of training",
                    elem_id="my-minutes",
                )
        with gr.Row():
            self.start = gr.Button("Train", variant="primary", elem_id="my-start", min_width=120)
            self.cancel = gr.Button("Cancel", elem_id="my-cancel", min_width=120)
        self.status = gr.HTML(elem_id="my-status")
        self.preview = gr.Image(
            label="Preview", interactive=False, visible=False, type="filepath", elem_id="my-preview"
        )
        self.numbers = gr.HTML(elem_id="my-numbers")
        self.archive = gr.File(label="Your model", interactive=False, visible=False, elem_id="my-model")

    def _connect(self) -> None:
        inputs = [self.consent, self.videos, self.model, self.minutes]
        outputs = [self.status, self.preview, self.numbers, self.archive, self.lip_sync.model]
        self.start.click(
            self.run, inputs, outputs, api_name="personalize", concurrency_limit=None, show_progress="hidden"
        )
        self.cancel.click(self._cancel, None, self.status, queue=False, api_visibility="private")

    async def run(self, request: gr.Request, consent, videos, model, minutes) -> AsyncIterator[tuple]:
        """Yields what the page shows while the job waits and runs, and the model at the end."""
        skip, hidden = gr.skip(), gr.update(visible=False)
        person = person_of(request)
        try:
            uploads = [str(video) for video in videos or []]
            job, preview = await asyncio.to_thread(self.desk.personal, person, consent, uploads, model, minutes)
        except Exception as error:  # whatever a browser sends ends in one line
            yield error_html(message_of(error)), hidden, "", hidden, skip
            return
        try:
            yield status_html(job, self.desk.line), hidden, "", hidden, skip
            shown_s = 0.0
            while not job.is_over:
                await asyncio.sleep(POLL_S)
                path = preview()
                changed_s = path.stat().st_mtime if path is not None and path.exists() else 0.0
                image = gr.update(visible=True, value=str(path)) if changed_s > shown_s else skip
                shown_s = max(shown_s, changed_s)
                yield status_html(job, self.desk.line), image, skip, skip, skip
        finally:
            self.desk.line.cancel(job)
        yield self._end(job, person)

    def _end(self, job: QueuedJob, person: str) -> tuple:
        status, hidden = status_html(job, self.desk.line), gr.update(visible=False)
        if job.state is not JobState.DONE:
            return status, hidden, "", hidden, gr.skip()
        numbers = {
            name.replace("_", " ").capitalize(): f"{value:.3g}"
            for name, value in job.result.results.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }
        archive = gr.update(visible=True, value=str(job.result.archive))
        choices = gr.update(choices=self.desk.models.names(person), value=MY_FACE)
        return status, hidden, table_html(numbers), archive, choices

    def _cancel(self, request: gr.Request) -> str:
        count = self.desk.leave(person_of(request))
        return note_html("Canceling …" if count else "There is nothing to cancel.")
