"""Threads may build networks at the same time."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers.faces.detectors import load_face_detector
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.network_building import one_at_a_time


def test_a_detector_is_whole_although_another_thread_loads_a_pipeline(tmp_path):
    """Without the lock, the detector's parameters would be made while diffusers makes none."""
    untrained_pipeline(sample_size=16).save_pretrained(tmp_path / "model")
    with ThreadPoolExecutor(4) as pool:
        work = []
        for _ in range(12):
            work.append(pool.submit(load_pipeline, tmp_path / "model", "cpu", "fp32"))
            work.append(pool.submit(load_face_detector))
        for each in work:
            each.result()


def test_a_build_may_build_others_and_hands_errors_on():
    @one_at_a_time
    def build(depth: int) -> int:
        if depth == 0:
            raise ValueError("deep enough")
        return build(depth - 1)

    with pytest.raises(ValueError, match="deep enough"):
        build(3)
    with pytest.raises(ValueError, match="deep enough"):
        build(0)
