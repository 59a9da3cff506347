"""The Snowball stemmer (Porter 2001) of the library PyStemmer, which has no types of its own."""

from collections.abc import Callable
from typing import Any, cast

import Stemmer

_library = cast("Any", Stemmer)
VERSION: str = _library.version()
stem = cast("Callable[[str], str]", _library.Stemmer("english", 0).stemWord)
"""The stem of a lower-case English word. It remembers nothing: ``analyze`` does."""
