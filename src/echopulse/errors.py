"""The one error that a user is meant to read."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one plain sentence that names the file or argument, says what was found, what was
    expected and what to do; the command line prints it as it is and ends with exit code 1.
    """
