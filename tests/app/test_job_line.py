"""The line of jobs: order, limits, cancellation, and jobs that fail."""

import threading

import pytest
from helpers.app_page import wait_for

from diff2lip_diffusers.app.job_line import INTERNAL, JobLine, JobState, LineFullError
from diff2lip_diffusers.app.texts import status_html
from diff2lip_diffusers.errors import Diff2LipError


@pytest.fixture
def line():
    line = JobLine(max_jobs=3, max_jobs_per_person=2)
    yield line
    line.close()


def blocked(started: threading.Event, go_on: threading.Event):
    """Work that runs until it is let go, and asks now and then whether it was canceled."""

    def work(job):
        started.set()
        while not go_on.wait(0.01):
            job.go_on()
        return "done"

    return work


def test_jobs_run_in_order_one_at_a_time(line):
    order, running = [], []

    def work(job):
        running.append(job)
        assert len(running) == 1
        order.append(job.person)
        running.remove(job)

    jobs = [line.join(person, work) for person in ("a", "b", "a")]
    assert [wait_for(job) for job in jobs] == [JobState.DONE] * 3
    assert order == ["a", "b", "a"]
    assert line.jobs() == []


def test_a_person_and_all_together_have_limits(line):
    started, go_on = threading.Event(), threading.Event()
    jobs = [line.join("a", blocked(started, go_on)), line.join("a", blocked(started, go_on))]
    with pytest.raises(LineFullError, match="2 unfinished jobs"):
        line.join("a", blocked(started, go_on))
    jobs.append(line.join("b", blocked(started, go_on)))
    with pytest.raises(LineFullError, match="3 jobs are waiting"):
        line.join("c", blocked(started, go_on))
    assert started.wait(10)
    assert [line.before(job) for job in jobs] == [0, 1, 2]
    assert "2 jobs before yours" in status_html(jobs[2], line)
    go_on.set()
    assert [wait_for(job) for job in jobs] == [JobState.DONE] * 3
    line.join("a", blocked(started, go_on))


def test_canceled_jobs_end_whether_they_wait_or_run(line):
    started, go_on, ended = threading.Event(), threading.Event(), []
    running = line.join("a", blocked(started, go_on), ended.append)
    waiting = line.join("b", blocked(started, go_on), ended.append)
    assert started.wait(10)
    assert line.leave("b") == 1
    assert waiting.state is JobState.CANCELED and ended == [JobState.CANCELED]
    line.cancel(running)
    assert wait_for(running) is JobState.CANCELED
    assert ended == [JobState.CANCELED] * 2
    assert line.leave("nobody") == 0


def test_a_failure_is_one_line_and_does_not_stop_the_line(line):
    def fail(error):
        def work(_):
            raise error

        return work

    known = line.join("a", fail(Diff2LipError("face.mp4:\nis <b>broken</b>")))
    assert wait_for(known) is JobState.FAILED
    assert known.message == "face.mp4: is <b>broken</b>"
    assert "&lt;b&gt;" in status_html(known, line) and "<b>" not in status_html(known, line)
    unknown = line.join("a", fail(RuntimeError("/secret/path: inner workings")))
    assert wait_for(unknown) is JobState.FAILED
    assert unknown.message == INTERNAL
    assert wait_for(line.join("a", lambda job: 1)) is JobState.DONE


def test_time_left_follows_the_speed_so_far(line, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("diff2lip_diffusers.app.job_line.time.monotonic", lambda: clock[0])
    left = []

    def work(job):
        job.enter("painting frames")
        clock[0] += 10
        job.report(5, 20)
        left.append(job.left_s)
        left.append(status_html(job, line))

    job = line.join("a", work)
    while not job.is_over:
        pass
    assert left[0] == 30  # 2 s each, 15 to go
    assert "5 of 20, about 30 seconds left" in left[1] and 'value="0.250"' in left[1]


def test_closing_ends_everything():
    line, started, go_on = JobLine(9, 9), threading.Event(), threading.Event()
    jobs = [line.join("a", blocked(started, go_on)) for _ in range(3)]
    assert started.wait(10)
    line.close()
    assert [job.state for job in jobs] == [JobState.CANCELED] * 3
    with pytest.raises(LineFullError, match="going down"):
        line.join("a", blocked(started, go_on))
