"""miniGPT: paste a text, train a small GPT on it live, and see what every attention head looks at.

Run it with `python app.py`, or `make demo`, and open the address it prints.
"""


def main() -> None:
    """Serve the page until interrupted."""
    # Imported here: each training process imports this file again, and needs neither Gradio nor its seconds.
    from minigpt.ui.server import serve

    serve()


if __name__ == "__main__":
    main()
