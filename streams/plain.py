"""Text of messages on a terminal."""

__all__ = ["plain"]


def plain(text: str) -> str:
    """Text of a message, safe on a terminal: an escape sequence in a patient id stays text."""
    return "".join(character if character.isprintable() else "�" for character in text)
