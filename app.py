"""miniGPT: paste a text, train a small GPT on it live, and see what every attention head looks at.

Run it with `python app.py`, or `make demo`, and open the address it prints.
"""

import importlib
import os


def for_zerogpu() -> object:
    """Hugging Face's ZeroGPU starts no Space without a function that asks for a GPU; miniGPT itself needs none."""
    try:
        spaces = importlib.import_module("spaces")
    except ImportError:  # As everywhere else.
        return None
    return spaces.GPU(_nothing)


def _nothing() -> None:
    return None


def main() -> None:
    """Serve the page until interrupted."""
    # One token is too little for two threads of numpy's: beside other work they wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for_zerogpu()
    # Imported here: each training process imports this file again, and needs neither Gradio nor its seconds.
    from minigpt.ui.server import serve

    serve()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # While it was still importing.
        raise SystemExit(130) from None
