# Every target first installs what it needs into .venv. It takes python3 (3.11 or later), git and make, no more.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.installed-docs

.PHONY: install demo notebook demo-weights evaluate-demo test test-slow quality style docs demo-picture benchmark fuzz clean

install: $(INSTALLED)

$(INSTALLED): setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@# The extra `restore` without torchvision, of which there is no build for every torch; its tests do without.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps spandrel einops
	touch $@

demo: $(INSTALLED)
	$(BIN)/diff2lip demo --output demo.mp4

# Runs the notebook in examples/ from top to bottom; its file stays as it is.
notebook: $(INSTALLED)
	$(BIN)/jupyter-execute --timeout=900 examples/lip_sync.ipynb

# Takes eight to nine hours on two cores. Every step resumes where it was stopped. See recipes/demo/README.md.
TRAIN := OMP_NUM_THREADS=1 $(BIN)/accelerate launch --multi_gpu --num_processes 2 -m diff2lip_diffusers train
demo-weights: $(INSTALLED)
	$(BIN)/diff2lip make-corpus demo-run/corpus --clips 440 --size 192 --look plain --workers 2
	$(BIN)/diff2lip make-corpus demo-run/speech --clips 1200 --seed 1 --no-video --workers 2
	$(BIN)/diff2lip make-corpus demo-run/nonsense --clips 700 --seed 2 --no-video --nonsense --workers 2
	$(BIN)/diff2lip make-corpus demo-run/more_nonsense --clips 1600 --seed 3 --no-video --nonsense --workers 2
	$(BIN)/diff2lip prepare demo-run/corpus demo-run/set --size 96 --workers 2
	$(BIN)/diff2lip pretrain-audio recipes/demo/audio.yaml
	$(BIN)/diff2lip pretrain-audio recipes/demo/audio_nonsense.yaml
	$(BIN)/diff2lip pretrain-audio recipes/demo/audio_voices.yaml
	$(BIN)/diff2lip train recipes/demo/picture_32px.yaml
	$(TRAIN) recipes/demo/mouth_32px.yaml
	$(TRAIN) recipes/demo/mouth_64px.yaml
	$(TRAIN) recipes/demo/lips_64px.yaml
	$(BIN)/diff2lip train recipes/demo/edges_64px.yaml
	$(TRAIN) recipes/demo/voices_64px.yaml
	$(BIN)/diff2lip make-corpus demo-run/plain_288 --clips 276 --seed 11 --size 288 --look plain --workers 2
	$(BIN)/diff2lip make-corpus demo-run/life_288 --clips 77 --seed 21 --size 288 --look life --workers 2
	$(BIN)/diff2lip make-corpus demo-run/plain_384 --clips 215 --size 384 --look plain --workers 2
	$(BIN)/diff2lip prepare demo-run/plain_288 demo-run/set_288 --size 144 --workers 2
	$(BIN)/diff2lip prepare demo-run/life_288 demo-run/set_life --size 144 --min-sharpness 0 --workers 2
	$(BIN)/diff2lip prepare demo-run/plain_384 demo-run/set_384 --size 144 --workers 2
	$(BIN)/python recipes/demo/grow.py demo-run/voices_64px/model demo-run/grown_128px
	$(BIN)/diff2lip train recipes/demo/first_128px.yaml
	$(BIN)/diff2lip train recipes/demo/looks_128px.yaml
	$(BIN)/diff2lip train recipes/demo/sharp_128px.yaml
	$(BIN)/diff2lip make-corpus demo-run/even_more_nonsense --clips 1478 --seed 4 --no-video --nonsense --workers 2
	$(BIN)/diff2lip pretrain-audio recipes/demo/audio_wide.yaml
	$(BIN)/python recipes/demo/swap_audio_encoder.py demo-run/sharp_128px/model demo-run/audio_wide demo-run/wide_128px
	$(BIN)/python recipes/demo/ship.py demo-run/wide_128px --as teacher
	$(BIN)/diff2lip distill recipes/distill_demo.yaml
	$(BIN)/python recipes/demo/ship.py demo-run/student/model

test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto --dist worksteal

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

# Damaged and crafted files, for some minutes; files of bad cases are kept in fuzz-faults/. See docs/reliability.md.
MINUTES ?= 30
SEED ?= 0
fuzz: $(INSTALLED)
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m fuzz --minutes $(MINUTES) --seed $(SEED)

quality: types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(INSTALLED)
	$(BIN)/basedpyright --pythonpath $(BIN)/python

style: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Warnings are errors, and links are checked. The variable silences a notice about the future of MkDocs, no warning.
docs: $(DOCS_INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $@

# Judges the demo's weights on 20 drawn people: the numbers in docs/evaluation.md. Resumes where it was stopped.
evaluate-demo: $(INSTALLED)
	$(BIN)/python benchmarks/evaluate_demo.py --output evaluate-demo

# The animated picture of the README.
demo-picture: demo
	$(BIN)/python docs/scripts/make_demo_picture.py demo.mp4

benchmark: $(INSTALLED)
	$(BIN)/python benchmarks/unet.py

clean:
	rm -rf $(VENV) build dist site *.egg-info demo.mp4 demo.png
