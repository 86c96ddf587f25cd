"""The one exception that reaches a user: a sentence, not a traceback."""


class EirError(Exception):
    """What was found, what was expected, and what to do next, in one or two sentences.

    The command line prints the message of an `EirError` and exits with status 2;
    anything else is a bug and keeps its traceback.
    """
