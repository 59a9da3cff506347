"""The dense half of search: rows with vectors -> the nearest by cosine.

Needs the extra ``context`` (numpy, faiss).
"""

from clew.context.dense.index import DenseIndex

__all__ = ["DenseIndex"]
