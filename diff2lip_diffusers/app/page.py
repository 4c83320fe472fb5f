"""The page: what it is, its limits, the question for consent, and its tabs."""

from collections.abc import Callable
from pathlib import Path

import gradio as gr

from .desk import Desk
from .lip_sync_tab import LipSyncTab, person_of
from .personal_tab import PersonalTab

STYLE = Path(__file__).parent / "page.css"
TITLE = "Lip-sync"
CONSENT = "The people in the video and in the recording agreed to this, and I will say that the speech is synthesized."
CONSENT_KEY = "diff2lip-consent"
# The browser keeps the answer; nobody else has a use for it.
CONSENT_SECRET = "not a secret"


def build_page(desk: Desk) -> gr.Blocks:
    """The page as Gradio's blocks, not yet served.

    Args:
        desk: takes the jobs of the page.
    """
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=False) as page:
        gr.HTML(
            f'<h1>{TITLE}</h1><p class="about">Give a video of a face, and speech: the mouth follows the speech.</p>'
            f'<p class="limits" id="limits">{desk.settings.limits_text}</p>'
        )
        remembered = gr.BrowserState(False, storage_key=CONSENT_KEY, secret=CONSENT_SECRET)
        consent = gr.Checkbox(label=CONSENT, value=False, elem_id="consent")
        with gr.Tab("Lip-sync"):
            lip_sync = LipSyncTab(desk, consent)
        if desk.settings.personal:
            with gr.Tab("A face of your own"):
                PersonalTab(desk, consent, lip_sync)
        quiet = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
        # No update otherwise: it could come after the person's own click.
        page.load(lambda agreed: True if agreed is True else gr.skip(), remembered, consent, **quiet)
        consent.input(lambda agreed: agreed is True, consent, remembered, **quiet)
        page.unload(_leaving(desk))
    return page


def _leaving(desk: Desk) -> Callable[[gr.Request], None]:
    """Ends the jobs of a page that was closed: nobody would see their results."""

    def leave(request: gr.Request) -> None:
        desk.leave(person_of(request))

    return leave
