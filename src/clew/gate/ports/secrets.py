"""The secrets port: credentials by id. Only drivers may hold it; what it gives must not leave them."""

from collections.abc import Sequence
from typing import Protocol


class Secrets(Protocol):
    def value(self, credential: str) -> str:
        """The secret itself, looked up now. Raises Failure(``no_credential``) with what is missing and how to mend it."""
        ...

    def known(self) -> Sequence[str]:
        """Every value that may come back from the world and has to be removed: those given so far and those findable now."""
        ...
