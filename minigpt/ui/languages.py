"""The languages of the page. The server speaks English; `assets/languages.js` puts that into the reader's language.

A language is a table `assets/words.<code>.json` from English sentences to its own, and a line in `LANGUAGES`. gr.I18n
cannot do it: it reaches what a component is built with, but not what handlers say later, nor text with numbers in it,
nor fragments and figures, and it follows the browser alone, so that nobody could choose.
"""

import json

from minigpt.ui.delivery import address
from minigpt.ui.fragment import Fragment, h

# Each names itself, as its readers look for it.
LANGUAGES = {"en": "English", "de": "Deutsch", "fr": "Français"}


def tables() -> str:
    """For the head of the page: where the browser finds the table of each language; it fetches the one it needs."""
    where = {code: address(f"words.{code}.json") for code in LANGUAGES if code != "en"}
    return f"<script>window.miniGPTLanguages = {json.dumps(where)};</script>"


def menu() -> Fragment:
    """The choice of a language, which the browser remembers."""
    options = [h("option", name, value=code, lang=code, translate="no") for code, name in LANGUAGES.items()]
    return Fragment([h("select", *options, aria_label="Language")], elem_id="language")
