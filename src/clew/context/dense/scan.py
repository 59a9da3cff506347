"""All that is asked of faiss: inner products, and 4-bit product quantiser codes that are scanned whole.

Product quantisation: Jégou et al., 2011; its scan in registers ("fast scan"): André et al., 2015. There is one
inverted list, and every search scans all of it: on embeddings that do not cluster (LSA of real texts) lists need half
of all probes for a recall of 0.97, and a filter that names another cluster than the query's needs them on any; a scan
of everything costs 1.3 ns a row and knows neither trouble.

faiss scans a list more slowly than an index without lists, which cannot leave rows out: so there is one of that kind as well, with
a copy of the codes (64 bytes a row at 384 dimensions).
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
_MORE = 20
"""Places that are looked for beyond as many as a mask should need."""

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
        self._whole = _without_lists(index)
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
        asked = _padded(query[None])
        if allowed is None:
            return _found(self._whole.search(asked, count))
        many = int(np.count_nonzero(allowed))
        if 2 * many > len(allowed):  # to leave out some of more is quicker than to look at each row
            places, guessed = _found(self._whole.search(asked, count * len(allowed) * 11 // (many * 10) + _MORE))
            kept = allowed[places]
            if np.count_nonzero(kept) >= count:
                return places[kept][:count], guessed[kept][:count]
        bits = np.packbits(allowed, bitorder="little")
        params = _faiss.SearchParametersIVF(sel=_faiss.IDSelectorBitmap(bits), nprobe=1)
        return _found(self._index.search(asked, count, params=params))

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


def _found(answer: tuple[NDArray[np.float32], Ints]) -> tuple[Ints, Floats]:
    """Places and cosines of one query's answer, which faiss fills up with -1."""
    distances, places = answer[0][0], answer[1][0]
    if len(places) and places[-1] < 0:
        there = int(np.count_nonzero(places >= 0))
        distances, places = distances[:there], places[:there]
    return places, 1 - distances / 2


def _without_lists(index: Any) -> Any:
    """An index of the same codes in the same order; they are laid out in the same blocks."""
    whole = _faiss.IndexPQFastScan(index.d, index.M, index.nbits, index.metric_type, index.bbs)
    whole.pq, whole.is_trained = index.pq, index.is_trained
    whole.ntotal, whole.ntotal2 = index.ntotal, -(-index.ntotal // index.bbs) * index.bbs
    size = whole.ntotal2 * index.M2 // 2
    whole.codes.resize(size)
    if size:
        _faiss.memcpy(whole.codes.data(), index.invlists.get_codes(0), size)
    return whole


def _split(dims: int) -> tuple[int, int]:
    """Dimensions are coded in so many groups of this size: 4 where that divides them and 3 does not (256, 1024), else 3."""
    size = 4 if dims % 4 == 0 and dims % 3 else 3
    return -(-dims // size), size


def _padded(vectors: Floats) -> Floats:
    """With zeros up to whole groups, which changes no distance."""
    groups, size = _split(vectors.shape[1])
    return np.pad(vectors, ((0, 0), (0, missing))) if (missing := groups * size - vectors.shape[1]) else vectors
