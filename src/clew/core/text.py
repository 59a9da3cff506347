"""Texts from outside, for people."""


def one_line(text: str) -> str:
    """Without what cannot be printed, and with single spaces for all that separates."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
