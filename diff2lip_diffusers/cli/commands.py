"""The commands of `diff2lip` and what each is for.

The program reads this file without the package, so that `--help` and `--version` need not wait for torch.
"""

import argparse
import importlib.metadata

EXIT_USAGE = 2
COMMANDS = {
    "sync": "make the lips in a video follow a recording",
    "app": "a page in the browser to lip-sync videos",
    "live": "a page on which a face says what you say or type",
    "batch": "lip-sync a list of pairs, in many processes",
    "status": "progress of a batch",
    "convert": "turn the original checkpoint into a diffusers model folder",
    "convert-syncnet": "turn the weights of the SyncNet of 2016 into safetensors",
    "export": "write a model folder in the authors' layout, or with its code",
    "demo": "lip-sync a drawn face with the small model in the package",
    "verify": "say what a file tells about being synthesized",
    "evaluate": "measure lip-synced videos of any system",
    "make-corpus": "draw talking faces with synthesized speech, for training and measuring",
    "personalize": "make a model of one person from videos of the person",
    "prepare": "build a training set from talking-head videos",
    "pretrain-audio": "pretrain an audio encoder on a corpus, before diff2lip train",
    "train-syncnet": "train a SyncNet, which measures whether mouth and speech are in sync",
    "train": "train the model on a set that diff2lip prepare wrote",
    "distill": "train a student that paints in one to four steps what a model paints in many",
}


class CommandParser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage text in front."""

    def error(self, message: str):
        self.exit(EXIT_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def program_parser() -> CommandParser:
    """The parser of the program, without its commands."""
    parser = CommandParser(prog="diff2lip", description="Lip-sync any face video to any speech.")
    version = importlib.metadata.version("diff2lip-diffusers")
    parser.add_argument("--version", action="version", version=f"diff2lip-diffusers {version}")
    return parser


def overview_parser() -> CommandParser:
    """The parser of the program with the names of its commands, but without their arguments."""
    parser = program_parser()
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        commands.add_parser(name, help=purpose)
    return parser
