"""Durations, sizes and money as manifests write them."""

import re
from decimal import Decimal, InvalidOperation

DURATION = r"^[0-9]{1,12}(\.[0-9]{1,6})?(ms|s|m|h|d)$"
SIZE = r"^[0-9]{1,12}(\.[0-9]{1,6})?(B|KiB|MiB|GiB|TiB)$"
MONEY = r"^[0-9]{1,12}(\.[0-9]{1,12})?$"

_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def milliseconds(text: str) -> int:
    """``"1.5s"`` -> 1500, rounded down. Raises ValueError for what is no duration."""
    return _scaled(text, DURATION, _MILLISECONDS, "a duration such as 500ms, 30s, 5m or 24h")


def size_bytes(text: str) -> int:
    """``"512MiB"`` -> 536870912. Raises ValueError for what is no size."""
    return _scaled(text, SIZE, _BYTES, "a size such as 512MiB")


def dollars(value: str | float) -> str:
    """US dollars as a plain decimal string, never an exponent. Raises ValueError for what is no amount."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not an amount of money such as 0.05") from None
    if not amount.is_finite() or amount < 0 or amount >= Decimal(10) ** 12:
        raise ValueError(f"{value!r} is not an amount of money such as 0.05")
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scaled(text: str, pattern: str, units: dict[str, int], expected: str) -> int:
    if re.fullmatch(pattern, text) is None:
        raise ValueError(f"{text!r} is not {expected}")
    number, unit = re.split(r"(?<=[0-9])(?=[A-Za-z])", text, maxsplit=1)
    return int(Decimal(number) * units[unit])
