"""`minigpt`, or `python -m minigpt`: the page, and what it does, from a terminal."""

import os
import sys


def main() -> None:
    """Run what was asked for; exit codes: 0, 1 (it says what went wrong), 2 (usage), 130 (Ctrl+C)."""
    # One token is too little for two threads of numpy's: beside other work they wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        # Imported here: each training process imports this file again, and needs no command.
        from minigpt.command import run

        code = run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # As in `minigpt generate RUN PROMPT | head`: whoever read has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


if __name__ == "__main__":
    main()
