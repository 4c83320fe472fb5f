"""What the page says while and after a job, as HTML in which everything that people gave is escaped."""

import html

from .job_line import JobLine, JobState, QueuedJob
from .result_numbers import ResultNumbers

NEARLY_S = 1.5


def status_html(job: QueuedJob, line: JobLine) -> str:
    """How far a job is, with a bar and the time left."""
    if job.state is JobState.WAITING:
        before = line.before(job)
        jobs = f"{before} job{'s' if before != 1 else ''} before yours"
        return note_html(f"Waiting: {jobs}." if before else "Waiting: yours is next.")
    if job.state is JobState.CANCELED:
        return note_html("Canceled.")
    if job.state is JobState.FAILED:
        return error_html(job.message)
    if job.state is JobState.DONE:
        return note_html("Done.")
    text = f"{job.stage[:1].upper()}{job.stage[1:]}"
    if not job.done:
        return _bar(f"{text} …", None)
    if job.expected is None:
        return _bar(f"{text}: {job.done}", None)
    left = "" if job.left_s is None else f", {time_left(job.left_s)}"
    return _bar(f"{text}: {job.done} of {job.expected}{left}", job.done / max(1, job.expected))


def time_left(seconds: float) -> str:
    """A time in words."""
    if seconds < NEARLY_S:
        return "nearly done"
    if seconds < 90:
        return f"about {round(seconds)} seconds left"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes left"
    return f"about {seconds / 3600:.1f} hours left"


def note_html(text: str) -> str:
    """A plain line."""
    return f'<p class="status" role="status">{html.escape(text)}</p>'


def error_html(text: str) -> str:
    """A line that says what went wrong."""
    stop = "" if text.rstrip().endswith((".", "!", "?")) else "."
    return f'<p class="status error" role="alert">{html.escape(text.rstrip())}{stop}</p>'


def numbers_html(numbers: ResultNumbers) -> str:
    """The numbers of a result, with what they mean."""
    rows = [
        ("Frames", str(numbers.num_frames), f"{numbers.duration_s:.2f} s"),
        ("Time a frame", f"{numbers.seconds_per_frame:.2f} s", "of the whole work"),
    ]
    if numbers.num_faceless_frames:
        rows.append(("Without the face", str(numbers.num_faceless_frames), "these frames stayed as they were"))
    if numbers.sharpness is not None:
        rows.append(("Sharpness", f"{numbers.sharpness:.0%}", "of the source's lower face; 100% is as sharp"))
    if numbers.offset_frames is not None:
        rows.append(("Offset", _offset(numbers.offset_frames), "of mouth and speech, by a SyncNet; 0 is best"))
    cells = "".join(
        f"<div><dt>{name}</dt><dd><b>{html.escape(value)}</b> <span>{meaning}</span></dd></div>"
        for name, value, meaning in rows
    )
    return f'<dl class="numbers">{cells}</dl>'


def table_html(rows: dict[str, str]) -> str:
    """Names and values."""
    cells = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd><b>{html.escape(value)}</b></dd></div>" for name, value in rows.items()
    )
    return f'<dl class="numbers">{cells}</dl>'


def _offset(frames: int) -> str:
    return f"{frames:+d} frame{'' if abs(frames) == 1 else 's'}" if frames else "0 frames"


def _bar(text: str, share: float | None) -> str:
    value = "" if share is None else f' value="{min(1.0, share):.3f}"'
    return (
        f'<p class="status" role="status">{html.escape(text)}</p>'
        f'<progress class="progress" max="1"{value} aria-label="progress of your job"></progress>'
    )
