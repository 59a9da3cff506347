import numpy as np
import pytest

from clew.context.dense import DenseIndex


class Cloud:
    """Clustered vectors and queries near some of them, and what an exact search finds."""

    def __init__(self, n: int, dims: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        centres = rng.standard_normal((max(4, n // 200), dims)) + 1.0
        self.labels = rng.integers(0, len(centres), n)
        self.vectors = (centres[self.labels] + rng.standard_normal((n, dims))).astype(np.float32)
        self.rows = np.arange(n)
        self.queries = (self.vectors[rng.choice(n, min(n, 30))] + rng.standard_normal((min(n, 30), dims))).astype(
            np.float32
        )
        self._units = self.vectors / np.linalg.norm(self.vectors, axis=1, keepdims=True)

    def index(self, **options) -> DenseIndex:
        made = DenseIndex(self.vectors.shape[1], **options)
        made.add(self.rows, self.vectors)
        made.settle()
        return made

    def best(self, query, k, mask=None):
        scores = self._units @ (query / np.linalg.norm(query))
        if mask is not None:
            scores = np.where(mask, scores, -9)
        return np.argsort(-scores, kind="stable")[:k]

    def recall(self, index: DenseIndex, k: int = 10, mask=None) -> float:
        """``mask``: one of all rows, or a function of the query."""
        shares = []
        for query in self.queries:
            allowed = mask(query) if callable(mask) else mask
            rows, _ = index.search(query, k, allowed)
            assert allowed is None or allowed[rows].all()
            shares.append(np.isin(self.best(query, k, allowed), rows).mean())
        return float(np.mean(shares))


@pytest.fixture
def cloud():
    return Cloud


@pytest.fixture(scope="session")
def large() -> Cloud:
    return Cloud(12_000, 48)


@pytest.fixture(scope="session")
def large_index(large: Cloud) -> DenseIndex:
    """Not to be added to."""
    return large.index()
