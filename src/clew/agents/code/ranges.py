"""Sets of small numbers as text: ``0-3,7,9-12``. Records of long test lists stay short."""

from collections.abc import Iterable


def packed(numbers: Iterable[int]) -> str:
    """``[0, 1, 2, 5]`` -> ``0-2,5``. Order and repetition are lost."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def unpacked(text: str) -> list[int]:
    """The numbers of ``packed``, ascending. Raises ValueError on anything else."""
    found: list[int] = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found
