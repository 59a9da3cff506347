"""How lists become one, and how much each counts: what a caller names, else what is known of the vectors.

``learned``: share of the documents that the collection's own embedder has learned from; None where vectors are from elsewhere, and
where nothing is to be tuned.
"""

from collections.abc import Sequence

import msgspec

from clew.gate.ports.context import Fusion, ListName, SearchConfig

_RRF_K = SearchConfig().rrf_k


def joined(config: SearchConfig, learned: float | None) -> Fusion:
    """By rank where nobody knows what scores are worth. Those of the collection's own embedder and of words were compared on
    fourteen judged collections: their sum found more than ranks did (docs/adr/0009)."""
    by_rank = learned is None or config.rrf_k != _RRF_K
    return config.fusion or ("RECIPROCAL_RANK" if by_rank else "WEIGHTED_SUM")


def weighed(config: SearchConfig, lists: Sequence[ListName], learned: float | None) -> dict[ListName, float]:
    """What is named counts; what is not counts half, and where nothing is named meaning has ``learned`` of its half, and words
    have the rest."""
    half = 0.5 if learned is None or _named(config) else 0.5 * learned
    dense = half if config.dense_weight is None else config.dense_weight
    sparse = 1 - half if config.sparse_weight is None else config.sparse_weight
    return {name: {"dense": dense, "sparse": sparse}.get(name, config.graph_weight) for name in lists}


def alike(config: SearchConfig, collections: int) -> SearchConfig:
    """What is found in several collections is compared by its fused scores: then all of them are joined alike."""
    if collections < 2:
        return config
    halves = {} if _named(config) else {"dense_weight": 0.5, "sparse_weight": 0.5}
    return msgspec.structs.replace(config, fusion=joined(config, None), **halves)


def explained(config: SearchConfig, learned: float | None) -> str:
    """Where the weights are from."""
    return "named" if _named(config) else "halves" if learned in (None, 1.0) else f"learned from {learned:.0%}"


def _named(config: SearchConfig) -> bool:
    return config.dense_weight is not None or config.sparse_weight is not None
