# Everything runs from .venv, which the first call makes; later calls find it ready.
#
#   PYTHON       the Python to make it with, 3.11 or newer (default: the first one found)
#   TORCH_INDEX  where to take torch from; on Linux without a GPU, https://download.pytorch.org/whl/cpu saves gigabytes
#   PORT         the port of the page (default: Gradio's, 7860)
#   SEEDS, LESSONS   how many seeds make lessons trains (default: 10; make recipe: 3), and which lessons (default: all)
#   TEXT         tiny Shakespeare, for make bench and make recipe (default: build/tinyshakespeare.txt, fetched if missing)
#   ARGS         passed on to pytest, as in: make test ARGS="-k tokenizer"

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install

.PHONY: help demo test lessons bench recipe check format install clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     open the page on this machine (PORT=7860)"
	@echo "make test     make check, then every test, the ones in a browser included"
	@echo "make lessons  train every lesson at ten seeds on one core, and print whether it keeps its promise"
	@echo "make bench    how fast training, writing, looking and the page are, against others; writes docs/benchmarks.md"
	@echo "make recipe   what each choice in the page's default is worth; writes docs/recipe.md"
	@echo "make check    style, types, and the direction of imports"
	@echo "make format   lay the code out as make check wants it"
	@echo "make install  make .venv with all that the demo and the tests need"
	@echo "make clean    remove .venv and everything else that was made"
	@echo
	@echo "On Linux without a GPU, a smaller torch: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu"

demo: $(VENV)/demo-installed
	$(if $(PORT),GRADIO_SERVER_PORT=$(PORT) )$(BIN)/python app.py

# On two cores at once, each file of tests on one: none shares a server or a browser with another.
IN_PARTS := -n 2 --dist loadfile

test: check
	@browser=$$($(BIN)/python tests/find_browser.py) || exit 1; \
	echo "Browser: $$browser"; \
	MINIGPT_BROWSER="$$browser" $(BIN)/python -m pytest $(IN_PARTS) $(ARGS)

# About twenty minutes. LESSONS="echo reverse" trains some of them, SEEDS=3 fewer of each.
lessons: $(VENV)/demo-installed
	OMP_NUM_THREADS=1 $(BIN)/python -m minigpt.lessons --seeds $(or $(SEEDS),10) $(LESSONS)

# Up to twenty minutes each, and nothing else should run beside them. The text is not part of this project.
TEXT := build/tinyshakespeare.txt

bench: $(VENV)/bench-installed
	@browser=$$($(BIN)/python tests/find_browser.py) || exit 1; \
	MINIGPT_BROWSER="$$browser" $(BIN)/python -W ignore -m benchmarks --text $(TEXT) --write docs/benchmarks.md

recipe: $(VENV)/demo-installed
	$(BIN)/python -m benchmarks.levers --seeds $(or $(SEEDS),3) --text $(TEXT) --write docs/recipe.md

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

install: $(VENV)/tests-installed

# Each stamp is written last, so that an interrupted installation starts again.
# Only the pins, without the index that a Space asks for: where it cannot be reached, every package would wait for it.
$(VENV)/demo-installed: requirements.txt $(BIN)/python
	@grep '^torch==' requirements.txt >$(VENV)/torch.txt; grep -v '^--' requirements.txt >$(VENV)/pins.txt
	$(if $(TORCH_INDEX),$(PIP) --index-url $(TORCH_INDEX) -r $(VENV)/torch.txt)
	$(PIP) -r $(VENV)/pins.txt
	@touch $@

$(VENV)/tests-installed: requirements-dev.txt $(VENV)/demo-installed
	$(PIP) --quiet -r requirements-dev.txt
	@touch $@

$(VENV)/bench-installed: requirements-bench.txt $(VENV)/tests-installed
	$(PIP) --quiet -r requirements-bench.txt
	@touch $@

# A python3.12 on the path need not run (version managers leave stand-ins), so each is asked.
$(BIN)/python:
	@found=; for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "miniGPT needs Python 3.11 or newer, and $(or $(PYTHON),python3) is not:" \
			"install one, or name it with make PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	"$$found" -m venv --clear $(VENV) >$(VENV).log 2>&1 || { \
		cat $(VENV).log >&2; rm -rf $(VENV) $(VENV).log; \
		echo "$$found cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	}; rm -f $(VENV).log

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
	find minigpt -name '*.pyi' -delete
