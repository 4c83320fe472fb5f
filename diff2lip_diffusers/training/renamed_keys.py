"""Old names of settings and the new ones, for the error line about an old configuration."""

RENAMED_KEYS = {
    "steps": "max_train_steps",
    "batch_size": "train_batch_size",
    "learning_rate_schedule": "lr_scheduler",
    "warmup_steps": "lr_warmup_steps",
    "weight_decay": "adam_weight_decay",
    "x0_gain": "x0_snr_gain",
    "mouth_focus": "extra_mouth_weight",
    "timestep_focus": "timestep_bias_multiplier",
    "timestep_range": "timestep_bias_begin",
    "flip": "random_flip",
    "colour_jitter": "color_jitter",
    "num_workers": "dataloader_num_workers",
    "checkpoint_every": "checkpointing_steps",
    "keep_checkpoints": "checkpoints_total_limit",
    "sample_every": "validation_steps",
    "evaluate_every": "validation_steps",
    "tracker": "report_to",
    "contrastive": "contrastive_weight",
    "other_clips": "other_clips_weight",
    "losses.epsilon": "epsilon_weight",
    "losses.variance": "variance_weight",
    "losses.x0": "x0_weight",
    "losses.syncnet": "syncnet_weight",
    "losses.lpips": "lpips_weight",
    "losses.adversarial": "adversarial_weight",
}
# What to say beyond the new name.
HINTS = {
    "timestep_focus": "a share f of the samples in [b, e) is timestep_bias_strategy: range with the multiplier"
    " 1 + 1000 f / ((1 - f) (e - b))",
    "timestep_range": "with `timestep_bias_end`, and timestep_bias_strategy: range",
}
