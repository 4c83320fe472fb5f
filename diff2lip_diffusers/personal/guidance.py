"""How strongly a personal model is guided by the speech."""

from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .held_out import HeldOutFrames

# With seconds of video, a model learns how the head moves along with the words: it moves the mouth too little, and a
# little whatever it hears. Guidance makes movements wider and leaves less of that. Too much of it costs agreement.
SCALES = (1.0, 1.5, 2.0, 2.5)
ENOUGH_MOVEMENT, MOST_LOST_CORRELATION = 0.8, 0.1


def choose_guidance(pipe: Diff2LipPipeline, held_out: HeldOutFrames) -> float:
    """Returns the least guidance scale with which the mouth moves enough, and makes it the pipeline's default.

    Args:
        pipe: the personal model.
        held_out: frames to judge on, with the person's own speech.
    """
    chosen, correlation = 1.0, 0.0
    for scale in SCALES:
        pipe.register_to_config(default_guidance_scale=scale)
        score = held_out.score(pipe)
        correlation = score.correlation if scale == SCALES[0] else correlation
        if score.correlation < correlation - MOST_LOST_CORRELATION:
            break
        chosen = scale
        if score.movement >= ENOUGH_MOVEMENT:
            break
    pipe.register_to_config(default_guidance_scale=chosen)
    return chosen
