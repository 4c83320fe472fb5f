"""LPIPS, FID, KID and FVD by `evaluate`: from files of weights to numbers of a system."""

import json

import numpy as np
import pytest
import torch
from helpers.evaluation_networks import write_i3d, write_inception, write_lpips
from helpers.face_videos import WOMAN, WOMAN_FACE, write_video
from helpers.recorded_inception import made_up_weight  # noqa: F401
from torchmetrics.image.fid import FrechetInceptionDistance

from diff2lip_diffusers.evaluation.aligned_frames import AlignedFrame, AlignedClip
from diff2lip_diffusers.evaluation.measures.inception import load_inception
from diff2lip_diffusers.evaluation.measures.stored_features import OUTPUT, features_file
from diff2lip_diffusers.evaluation.perceptual import load_distance
from diff2lip_diffusers.evaluation.run import evaluate
