"""Puts an audio encoder into a trained model: `python recipes/demo/swap_audio_encoder.py MODEL AUDIO OUTPUT`.

The encoder must give embeddings like those of the model's own: see `embeddings_of` of `diff2lip pretrain-audio`.
"""

import argparse

from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.training.audio_encoder_folder import load_audio_encoder


def main() -> None:
    """Reads a model folder and an encoder's folder, and writes a model folder with both."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    for name in ("model", "audio", "output"):
        parser.add_argument(name, metavar=name.upper(), help=f"folder of the {name}")
    args = parser.parse_args()
    pipe = load_pipeline(args.model, device="cpu", dtype="fp32")
    pipe.register_modules(audio_encoder=load_audio_encoder(args.audio))
    pipe.save_pretrained(args.output)


if __name__ == "__main__":
    main()
