"""The one exception that means "the caller gave something we cannot use".

Its text is a whole sentence for a person: what was given, what was expected, what to do. The command line prints it and
exits with 2; the page shows it. Every other exception is a bug and keeps its traceback.
"""


class InputError(ValueError):
    """Bad input, explained in one sentence."""


def one_line(error: Exception, longest: int = 160) -> str:
    """What an error of another library says, for the middle of a sentence."""
    return " ".join(str(error).split())[:longest]
