"""Where the files beside the code are: the essay, the style sheet, the scripts of the page."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# An installed package carries its assets inside; in a checkout they lie beside it. Inside comes first: a folder of the
# same name beside an installed package belongs to somebody else.
_FOLDERS = (_PACKAGE / "assets", _PACKAGE.parent / "assets")


def asset(name: str) -> Path:
    """The file `name` of `assets/`, wherever miniGPT runs from. Raises FileNotFoundError, saying where it looked."""
    for folder in _FOLDERS:
        if (folder / name).is_file():
            return folder / name
    looked = " or ".join(str(folder) for folder in _FOLDERS)
    raise FileNotFoundError(f"miniGPT's file {name!r} is missing: it is not in {looked}.")
