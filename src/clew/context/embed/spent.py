"""What vectors cost that were made outside of runs: sums by embedder, in ``embedding.json`` beside a collection's log.

Runs record their own costs; these sums hold what imports, searches by hand and the background asked of a provider.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec

_FILE = "embedding.json"


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """``cost``: US dollars as decimal text; it does not hold the ``unpriced`` requests, whose price is not known."""

    requests: int = 0
    texts: int = 0
    tokens: int = 0
    cost: str = "0"
    unpriced: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            requests=self.requests + other.requests,
            texts=self.texts + other.texts,
            tokens=self.tokens + other.tokens,
            cost=f"{Decimal(self.cost) + Decimal(other.cost):f}",
            unpriced=self.unpriced + other.unpriced,
        )


def spend(folder: Path, embedder: str, more: Spent) -> None:
    """Add it to the sums, durably. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(folder):
        sums = spent(folder)
        sums[embedder] = sums.get(embedder, Spent()) + more
        fresh = folder / f".{_FILE}"
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(sums))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / _FILE)


def spent(folder: Path) -> dict[str, Spent]:
    """By embedder. What cannot be read is taken as nothing."""
    try:
        sums = msgspec.json.decode((folder / _FILE).read_bytes(), type=dict[str, Spent])
        for one in sums.values():
            Decimal(one.cost)
    except (OSError, msgspec.DecodeError, ArithmeticError):
        return {}
    return sums


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    handle = os.open(folder / f"{_FILE}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
