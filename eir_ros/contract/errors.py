"""The one exception that reaches a user: a sentence, not a traceback."""

import difflib
from collections.abc import Iterable


class EirError(Exception):
    """What was found, what was expected, and what to do next, in one or two sentences.

    The command line prints the message of an `EirError` and exits with status 2;
    anything else is a bug and keeps its traceback.
    """


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about a word that is not `known`: the nearest one, and all of them."""
    words = sorted(known)
    near = difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.4)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    return f"{hint} Known: {', '.join(words)}."
