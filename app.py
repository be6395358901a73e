"""miniGPT: paste a text, train a small GPT on it live, and see what every attention head looks at.

Run it with `python app.py`, or `make demo`, and open the address it prints.
"""

import os


def main() -> None:
    """Serve the page until interrupted."""
    # One token is too little for two threads of numpy's: beside other work they wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Imported here: each training process imports this file again, and needs neither Gradio nor its seconds.
    from minigpt.ui.server import serve

    serve()


if __name__ == "__main__":
    main()
