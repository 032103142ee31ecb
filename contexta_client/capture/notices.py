"""What a capture call has to tell people: one line to the logger `contexta`, each subject once a process."""

from __future__ import annotations

_said: set[str] = set()


def say_once(subject: str, text: str) -> None:
    """Log a warning, the first time only for each subject. Never raises: a capture call may be its caller."""
    if subject in _said:
        return
    _said.add(subject)
    say(text)


def say(text: str) -> None:
    """Log a warning. Without a logging set-up of the user's, Python prints it to stderr."""
    try:
        import logging

        logging.getLogger("contexta").warning("contexta: %s", text)
    except Exception:  # a closed stream, an interpreter that is shutting down, a broken handler of the user's
        return


def told(error: BaseException) -> str:
    """Return an error's type and what it says, if it can. Never raises: it may be the user's."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
