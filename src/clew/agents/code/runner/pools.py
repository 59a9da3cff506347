"""Values to call functions with, by their annotations: the edges first. All of them are literals."""

import typing
from typing import Any, Callable, Dict, Iterable, List, Sequence, Tuple

_PLAIN: Dict[Any, List[Any]] = {
    int: [0, 1, -1, 2, 7, 10, 100],
    float: [0.0, 1.0, -1.5, 0.5, 1e6],
    str: ["", "a", "abc", "Hello, World", "  x ", "12", "aa bb"],
    bytes: [b"", b"a", b"\x00\xff"],
    bool: [False, True],
    complex: [0j, 1 + 2j],
    type(None): [None],
}
ANY: List[Any] = [0, 1, -3, 2.5, "", "abc", "a b", [], [3, 1, 2, 1], ["b", "a"], (), (1, 2), {}, {"a": 1}, None, True]
"""For a parameter that nothing is known about."""
_SEQUENCES = (list, tuple, set, frozenset)
_ABSTRACT = {"Sequence": list, "Iterable": list, "Collection": list, "MutableSequence": list, "Iterator": list,
             "Set": set, "AbstractSet": set, "Mapping": dict, "MutableMapping": dict}  # fmt: skip


def pool(annotation: Any) -> List[Any]:
    """Values of the type; empty when there are none that could be written down."""
    if annotation in (None, type(None)):
        return [None]
    if annotation is Any or annotation is typing.Union:
        return ANY
    if isinstance(annotation, typing.TypeVar):
        return pool(annotation.__bound__) if annotation.__bound__ else _PLAIN[int]
    if isinstance(annotation, type) and annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    name = getattr(origin or annotation, "__name__", "")
    if origin is typing.Union or name in ("Union", "UnionType"):
        return [value for argument in arguments for value in pool(argument)[:4]]
    if name == "Literal":
        return list(arguments)
    kind: Any = _ABSTRACT.get(name, origin or annotation)
    if kind is dict:
        return _dicts(arguments)
    if kind is tuple and arguments and Ellipsis not in arguments:
        return [tuple(row) for row in spread([pool(argument) for argument in arguments], 6)]
    if kind in _SEQUENCES:
        return _sequences(kind, [a for a in arguments if a is not Ellipsis])
    return []


def _sequences(kind: Callable[[Iterable[Any]], Any], arguments: List[Any]) -> List[Any]:
    items = pool(arguments[0])[:5] if arguments else [3, 1, 2]
    if not items:
        return []
    try:
        made = [kind(()), kind(items[:1]), kind(items), kind(items[::-1]), kind([*items[:2], *items[:2]])]
    except TypeError:  # items that are not hashable
        return []
    return list({repr(one): one for one in made}.values())


def _dicts(arguments: Sequence[Any]) -> List[Any]:
    keys, values = [pool(argument)[:3] for argument in arguments] if arguments else (["a", "b"], [1, 2])
    pairs = list(zip(keys, values))
    try:
        return [{}, dict(pairs[:1]), dict(pairs)] if pairs else []
    except TypeError:
        return []


def spread(pools: List[List[Any]], most: int) -> List[Tuple[Any, ...]]:
    """Combinations, the first of each pool first: in the order of the sum of the positions, ``most`` at most."""
    if not pools:
        return [()]
    if not all(pools):
        return []
    found: List[Tuple[int, ...]] = [tuple(0 for _ in pools)]
    seen = set(found)
    at = 0
    while at < len(found) and len(found) < most:
        place = found[at]
        at += 1
        for index in range(len(pools)):
            after = (*place[:index], place[index] + 1, *place[index + 1 :])
            if after[index] < len(pools[index]) and after not in seen and len(found) < most:
                seen.add(after)
                found.append(after)
    return [tuple(values[i] for values, i in zip(pools, place)) for place in found]
