# Two commands on a fresh machine: `make demo` and `make test`. Both make .venv on first use.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT := out/demo
export TORCH_CPP_LOG_LEVEL := ERROR
export HF_HUB_OFFLINE := 1

.PHONY: demo test test-all coverage install lint clean validation bench

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24" "setuptools<81" wheel
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[asr,eval,judges,formats,watermark,dev]"
	touch $@

# Headless Chromium for the page's test; only where it is absent.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || { \
	  SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

demo: install
	@mkdir -p $(OUT)
	@echo "1/3 cloning VCTK p225 from the 10 clips in app/examples/p225/clips"
	$(BIN)/tts-meta clone app/examples/p225/clips --name p225 --out $(OUT) --force --consent "VCTK corpus, CC BY 4.0"
	@echo "2/3 speaking three new sentences"
	$(BIN)/tts-meta say "The old lighthouse keeper poured himself another cup of tea." --voice $(OUT)/p225.voice --out $(OUT)/1.wav
	$(BIN)/tts-meta say "On March 3rd, 2024, we paid \$$25.50 for twelve pounds of apples." --voice $(OUT)/p225.voice --out $(OUT)/2.wav
	$(BIN)/tts-meta say "Would you please read this letter to me before the train leaves?" --voice $(OUT)/p225.voice --out $(OUT)/3.wav
	@echo "3/3 evaluating on 8 other recordings of the speaker"
	$(BIN)/tts-meta evaluate --voice $(OUT)/p225.voice --reference app/examples/p225/reference --out $(OUT)
	@echo; echo "Made: $$(echo $(OUT)/*.wav) $(OUT)/p225.voice $(OUT)/report.html $(OUT)/metrics.json"

# Two processes of one thread each; a file's tests stay together, which share what they make. `make test` runs a sample of
# those that are many alike, `make test-all` every one.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: install browser
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) -m "not sweep" --durations=60 --cov=tts_meta --cov=app --cov-report=
	@echo "lines of tts_meta and app that the tests run: $$($(BIN)/python -m coverage report --format=total) % (make coverage names the others)"

test-all: install browser
	$(BIN)/ruff check .
	$(BIN)/mypy
	TTS_META_TEST_ALL=1 $(PYTEST) --durations=60

# Which lines no test ran in the last `make test` (in its own processes: those of jobs and commands do not count).
coverage:
	$(BIN)/python -m coverage report --skip-covered --show-missing

# The whole validation table, resumable row by row (about three hours on two cores).
validation: install
	$(BIN)/python recipes/validation/validate.py

# Speed against other implementations and memory against inner steps (about ten minutes, on an idle machine).
bench: install
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[bench]"
	$(BIN)/python recipes/bench/bench.py
	$(BIN)/python recipes/bench/memory_curve.py

lint: install
	$(BIN)/ruff check --fix .
	$(BIN)/mypy

clean:
	rm -rf out build *.egg-info .pytest_cache .mypy_cache .ruff_cache
