"""All that is asked of faiss: inner products, and 4-bit product quantiser codes that are scanned whole.

Product quantisation: Jégou et al., 2011; its scan in registers ("fast scan"): André et al., 2015. There is one
inverted list, and every search scans all of it: on embeddings that do not cluster (LSA of real texts) lists need half
of all probes for a recall of 0.97, and a filter that names another cluster than the query's needs them on any; a scan
of everything costs 1.3 ns a row and knows neither trouble.
"""

from collections.abc import Iterable
from typing import Any, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from clew.context.damage import Damaged

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_faiss: Any = faiss
"""Its stubs leave out what is needed here."""


def dots(query: Floats, vectors: Floats, out: Floats, places: Ints | None = None) -> None:
    """Inner products of ``query`` with the rows of ``vectors`` (at ``places``) into ``out``.

    Equal vectors give equal bits, wherever they are; below 16 dimensions ``places`` may give others than all.
    """
    one_thread()
    into, of, these = _faiss.swig_ptr(out), _faiss.swig_ptr(query), _faiss.swig_ptr(vectors)
    if places is None:
        _faiss.fvec_inner_products_ny(into, of, these, len(query), len(out))
    else:
        _faiss.fvec_inner_products_by_idx(into, of, these, _faiss.swig_ptr(places), len(query), 1, len(places))


def one_thread() -> None:
    """Of this thread's work: OpenMP's number of threads is kept per thread."""
    _faiss.omp_set_num_threads(1)


class Codes:
    """Codes of the first ``len(codes)`` vectors of an index, by a codebook learned from the first ``learned`` of them.

    Never changes.
    """

    def __init__(self, index: Any, dims: int, learned: int) -> None:
        self._index = index
        self._dims = dims
        self.learned = learned

    @classmethod
    def learn(cls, sample: Floats, learned: int) -> Self:
        """Same sample, same codebook. Takes about 1 s for 8,000 vectors of 384 dimensions."""
        one_thread()
        dims = sample.shape[1]
        groups, size = _split(dims)
        index = _faiss.IndexIVFPQFastScan(
            _faiss.IndexFlatL2(groups * size), groups * size, 1, groups, 4, _faiss.METRIC_L2
        )
        index.by_residual = False
        index.train(_padded(sample))
        return cls(index, dims, learned)

    def plus(self, parts: Iterable[Floats]) -> "Codes":
        """With those vectors after its own. Searches of this one may go on meanwhile."""
        one_thread()
        index = _faiss.clone_index(self._index)
        for part in parts:
            index.add(_padded(part))
        return Codes(index, self._dims, self.learned)

    def nearest(self, query: Floats, count: int, allowed: Mask | None) -> tuple[Ints, Floats]:
        """Places and estimated cosines of the ``count`` that seem nearest, best first; fewer only where fewer are allowed.

        ``allowed``: by place.
        """
        one_thread()
        params = None
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            params = _faiss.SearchParametersIVF(sel=_faiss.IDSelectorBitmap(bits), nprobe=1)
        distances, found = self._index.search(_padded(query[None]), count, params=params)
        places: Ints = found[0]
        there = int(np.count_nonzero(places >= 0))  # faiss fills up with -1
        return places[:there], 1 - distances[0, :there] / 2

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def to_bytes(self) -> bytes:
        data: NDArray[np.uint8] = _faiss.serialize_index(self._index)
        return data.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, dims: int, learned: int) -> Self:
        """Raises Damaged. ``data`` has been checked against its digest: faiss trusts what it reads."""
        groups, size = _split(dims)
        try:
            index = _faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
        except (RuntimeError, MemoryError) as error:
            raise Damaged(f"codes: {error}") from error
        if not isinstance(index, _faiss.IndexIVFPQFastScan):
            raise Damaged(f"codes: {type(index).__name__}")
        if (index.d, index.nlist, index.M, index.nbits) != (groups * size, 1, groups, 4) or index.by_residual:
            raise Damaged("codes: of another shape")
        if index.ntotal != index.invlists.list_size(0):
            raise Damaged("codes: not as many as they say")
        return cls(index, dims, learned)


def _split(dims: int) -> tuple[int, int]:
    """Dimensions are coded in so many groups of this size: 3 where that divides them (384, 768, 1536), else 4."""
    size = 3 if dims % 3 == 0 else 4
    return -(-dims // size), size


def _padded(vectors: Floats) -> Floats:
    """With zeros up to whole groups, which changes no distance."""
    groups, size = _split(vectors.shape[1])
    return np.pad(vectors, ((0, 0), (0, missing))) if (missing := groups * size - vectors.shape[1]) else vectors
