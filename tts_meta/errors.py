"""The one exception that means "the caller gave something we cannot use".

Its text is a whole sentence for a person: what was given, what was expected, what to do. The command line prints it and
exits with 2; the page shows it. Every other exception is a bug and keeps its traceback.
"""


class InputError(ValueError):
    """Bad input, explained in one sentence."""
