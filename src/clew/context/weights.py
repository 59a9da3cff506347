"""How much each list counts: what a caller names, else what is known of the vectors."""

from collections.abc import Sequence

import msgspec

from clew.gate.ports.context import ListName, SearchConfig


def weighed(config: SearchConfig, lists: Sequence[ListName], learned: float) -> dict[ListName, float]:
    """What is named counts; what is not counts half, and where nothing is named meaning has ``learned`` of its half, and words
    have the rest. ``learned``: share of the documents that the collection's own embedder has learned from."""
    half = 0.5 if _named(config) else 0.5 * learned
    dense = half if config.dense_weight is None else config.dense_weight
    sparse = 1 - half if config.sparse_weight is None else config.sparse_weight
    return {name: {"dense": dense, "sparse": sparse}.get(name, config.graph_weight) for name in lists}


def alike(config: SearchConfig, collections: int) -> SearchConfig:
    """What is found in several collections is compared by its fused scores: then all of them have the same weights."""
    if collections < 2 or _named(config):
        return config
    return msgspec.structs.replace(config, dense_weight=0.5, sparse_weight=0.5)


def explained(config: SearchConfig, learned: float) -> str:
    """Where the weights are from."""
    return "named" if _named(config) else "halves" if learned == 1 else f"learned from {learned:.0%}"


def _named(config: SearchConfig) -> bool:
    return config.dense_weight is not None or config.sparse_weight is not None
