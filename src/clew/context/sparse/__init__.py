"""Rows and text -> the best rows by BM25."""

from clew.context.sparse.analyze import words
from clew.context.sparse.index import SparseIndex

__all__ = ["SparseIndex", "words"]
