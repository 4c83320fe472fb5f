"""Cases: a command of `diff2lip` with a file that is damaged or crafted."""

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from helpers.training_sets import SETTINGS
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from .mutations import mutated, with_odd_value

BOX = "--box=0,0,48,48"
PLAYLISTS = (
    "ffconcat version 1.0\nfile face.mp4\n",
    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nface.mp4\n#EXT-X-ENDLIST\n",
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    '<?xml version="1.0"?><MPD type="static"><Period><BaseURL>face.mp4</BaseURL></Period></MPD>',
    "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\nshowpage\n",
)
ODD_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 300)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "..", "/", "../../x", "a\0b", "nan", "1e999", "[", "${HOME}", "é", "e\u0301", "x" * 5000])
    | st.sampled_from([2**31, 2**63, 2**64, -1, 0, 10**30, -0.0, 1e308]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@dataclass
class Case:
    """One run of the command line.

    Attributes:
        kind: which maker made it.
        arguments: of `diff2lip`.
        output: the file or folder that it may write; None if it writes none.
    """

    kind: str
    arguments: list[str]
    output: str | None = "out.mp4"


@dataclass
class CaseMaker:
    """Makes cases from good files.

    Args:
        seeds: folder of `write_seeds`.
        seed: decides on all cases.
    """

    seeds: Path
    seed: int
    _values: list = field(default_factory=list)
    _bytes: dict[Path, bytes] = field(default_factory=dict)

    def make(self, number: int, folder: Path) -> Case:
        """Writes the files of a case into its folder; the same for the same seed and number."""
        rng = random.Random(f"{self.seed} {number}")
        if number % 500 == 0 or not self._values:
            self._values = drawn_values(self.seed * 1000 + number // 500, 300)
        for name in ("face.mp4", "speech.wav"):
            os.symlink(self.seeds / name, folder / name)
        maker = MAKERS[number % len(MAKERS)]
        return maker(self, rng, folder)

    def damaged(self, source: Path, target: Path, rng: random.Random) -> None:
        """Writes a damaged copy of a file."""
        others = [self._read(path) for path in sorted(source.parent.iterdir()) if path.is_file()]
        target.write_bytes(mutated(self._read(source), rng, others))

    def _read(self, path: Path) -> bytes:
        if path not in self._bytes:
            self._bytes[path] = path.read_bytes()
        return self._bytes[path]

    def sync(self, kind: str, *arguments: str) -> Case:
        """A case of `diff2lip sync`; the arguments that come later count."""
        usual = ["--model", str(self.seeds / "model"), "--video", "face.mp4", "--audio", "speech.wav", BOX]
        return Case(kind, ["sync", *usual, "--output", "out.mp4", "--steps=1", "--device=cpu", *arguments])

    def video(self, rng: random.Random, folder: Path) -> Case:
        """A damaged video, with a recording or its own audio, sometimes searched for faces."""
        source = rng.choice(sorted((self.seeds / "video").iterdir()))
        name = f"in{rng.choice((source.suffix, source.suffix, '.mp4', '.jpg', ''))}"
        self.damaged(source, folder / name, rng)
        more = rng.choice((["--audio", name], [], [], ["--fps", "10"], ["--length", "audio"], ["--reproduce"]))
        return self.sync("video", "--video", name, *more)

    def audio(self, rng: random.Random, folder: Path) -> Case:
        """A damaged recording."""
        source = rng.choice(sorted((self.seeds / "audio").iterdir()))
        self.damaged(source, folder / f"in{source.suffix}", rng)
        return self.sync("audio", "--audio", f"in{source.suffix}", *rng.choice(([], ["--length", "audio"])))

    def still(self, rng: random.Random, folder: Path) -> Case:
        """A damaged still, or a folder of damaged images, pipes and links."""
        stills = sorted((self.seeds / "still").iterdir())
        if rng.random() < 0.7:
            source = rng.choice(stills)
            self.damaged(source, folder / f"in{source.suffix}", rng)
            return self.sync("still", "--video", f"in{source.suffix}")
        (folder / "images").mkdir()
        for number in range(3):
            source = rng.choice(stills)
            self.damaged(source, folder / "images" / f"{number}{source.suffix}", rng)
        odd = folder / "images" / f"{rng.randrange(4)}.png"
        if rng.random() < 0.3:
            odd.unlink(missing_ok=True)
            rng.choice((os.mkfifo, os.mkdir, lambda path: os.symlink(path.name, path)))(odd)
        return self.sync("still", "--video", "images")

    def playlist(self, rng: random.Random, folder: Path) -> Case:
        """A list, playlist or program under the name of a video or image."""
        name = rng.choice(("in.mp4", "in.m3u8", "in.jpg", "in%d.jpg", "in.eps", "in.sdp", "in.mpd"))
        text = rng.choice(PLAYLISTS).encode()
        (folder / name).write_bytes(text if rng.random() < 0.5 else mutated(text, rng, [text]))
        return self.sync("playlist", "--video", name)

    def pairs(self, rng: random.Random, folder: Path) -> Case:
        """A list of pairs with odd values, or damaged as text, in three formats."""
        lines = [json.loads(line) for line in (self.seeds / "pairs.jsonl").read_text().splitlines()]
        changed = with_odd_value(lines, rng, self._values)
        changed = changed if isinstance(changed, list) else [changed]
        suffix = rng.choice((".jsonl", ".csv", ".txt"))
        text = _as_list(changed, suffix)
        data = mutated(text, rng, [text]) if rng.random() < 0.4 else text
        (folder / f"pairs{suffix}").write_bytes(data)
        # Most of what a list can do wrong is found before anything is generated.
        more = rng.choice((["--dry-run"], []))
        arguments = ["batch", f"pairs{suffix}", "--output-dir", "out", "--model", str(self.seeds / "model"), *more]
        return Case("pairs", [*arguments, "--steps=1", "--device=cpu", "--retries=0", "--dtype=fp32"], None)

    def options(self, rng: random.Random, folder: Path) -> Case:
        """Odd values for options on the command line, and a damaged file with detections."""
        names = ("fps", "crf", "box", "face", "pads", "steps", "seed", "batch-size", "eta", "detection-stride")
        (folder / "boxes.jsonl").write_text(json.dumps(rng.choice(self._values)) + "\n")
        name = rng.choice((*names, "detections", "max-duration", "max-pixels", "extend", "codec"))
        chosen = rng.choice([value for value in self._values if name != "steps" or not _is_large(value)])
        value = "boxes.jsonl" if name == "detections" else str(chosen).replace("\0", "")
        case = self.sync("options", f"--{name}={value}")
        case.arguments = [part for part in case.arguments if part != BOX or name not in ("box", "detections", "face")]
        return case

    def model(self, rng: random.Random, folder: Path) -> Case:
        """A model folder with odd values in its configurations, or damaged weights."""
        shutil.copytree(self.seeds / "model", folder / "model")
        files = sorted(path for path in (folder / "model").rglob("*") if path.is_file())
        chosen = rng.choice(files)
        if chosen.suffix == ".json" and rng.random() < 0.8:
            changed = with_odd_value(json.loads(chosen.read_text()), rng, self._values)
            chosen.write_text(json.dumps(changed))
        else:
            self.damaged(self.seeds / "model" / chosen.relative_to(folder / "model"), chosen, rng)
        return self.sync("model", "--model", "model")

    def weights(self, rng: random.Random, folder: Path) -> Case:
        """A damaged checkpoint in PyTorch's format."""
        self.damaged(self.seeds / "w.pt", folder / "in.pt", rng)
        return Case("weights", ["convert", "in.pt", "--output", "out"], "out")

    def training(self, rng: random.Random, folder: Path) -> Case:
        """A training configuration with odd values, or damaged as text, or a damaged clip in its set."""
        config = (
            {"model": SETTINGS["model"]}
            | SETTINGS
            | {"data": "set", "output": "run", "max_train_steps": 1, "checkpointing_steps": 1}
        )
        shutil.copytree(self.seeds / "set", folder / "set")
        if rng.random() < 0.3:
            chosen = rng.choice(sorted(path for path in (folder / "set").rglob("*") if path.is_file()))
            self.damaged(self.seeds / "set" / chosen.relative_to(folder / "set"), chosen, rng)
        else:
            config = with_odd_value(config, rng, [value for value in self._values if not _is_large(value)])
            if isinstance(config, dict) and isinstance(config.get("model", {}), dict):
                # A missing value is that of the released model, which takes gigabytes.
                config = {"model": SETTINGS["model"] | config.pop("model", {})} | config
        text = yaml.safe_dump(config, sort_keys=False).encode()
        (folder / "config.yaml").write_bytes(mutated(text, rng, [text]) if rng.random() < 0.3 else text)
        return Case("training", ["train", "config.yaml"], None)


MAKERS: tuple[Callable[[CaseMaker, random.Random, Path], Case], ...] = (
    CaseMaker.video,
    CaseMaker.audio,
    CaseMaker.video,
    CaseMaker.still,
    CaseMaker.pairs,
    CaseMaker.video,
    CaseMaker.model,
    CaseMaker.playlist,
    CaseMaker.audio,
    CaseMaker.options,
    CaseMaker.weights,
    CaseMaker.training,
)


def _is_large(value: object) -> bool:
    """Whether a number is a plausible but huge amount of work."""
    return isinstance(value, (int, float)) and 300 < abs(value)


def _as_list(entries: list, suffix: str) -> bytes:
    if suffix == ".jsonl":
        return "".join(json.dumps(entry) + "\n" for entry in entries).encode()
    rows = [entry for entry in entries if isinstance(entry, dict)]
    if suffix == ".csv":
        names = list(dict.fromkeys(name for row in rows for name in row)) or ["audio"]
        lines = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
        return "".join(",".join(line) + "\n" for line in lines).encode(errors="replace")
    lines = [f"{row.get('audio')} {row.get('video')}\n" for row in rows]
    return "".join(lines).encode(errors="replace")


def drawn_values(number: int, count: int) -> list:
    """Odd values that hypothesis draws; the same for the same number."""
    found: list = []

    @seed(number)
    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate])
    @given(ODD_VALUES)
    def draw(value):
        found.append(value)

    draw()
    return found
