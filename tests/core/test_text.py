"""A text from outside is one line, and steers nothing."""

from clew.core.text import one_line


def test_one_line():
    assert one_line("  a\n\n\tb\x1b[31m c\u202e\u2028d ") == "a b [31m c d"
    assert one_line("\x00\n") == ""
