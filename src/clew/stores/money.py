"""Exact money: US dollars as decimal text outside, whole picodollars (1e-12 $) inside, so that sums never drift.

A price of $0.01875 per million tokens is 18,750 pico per token: whole. 64 bits hold sums up to nine million dollars.
"""

from decimal import Context, Decimal

from clew.core.errors import UsageError

PICO = 12
_LIMIT = 2**63
_EXACT = Context(prec=60)
"""Its own, half to even: the caller's precision is not money's."""


def to_pico(dollars: str) -> int:
    """``"0.05"`` -> 50_000_000_000; ``""`` is nothing. Raises UsageError for what is no amount of money."""
    if not dollars:
        return 0
    try:
        amount = int(_EXACT.to_integral_value(_EXACT.scaleb(Decimal(dollars), PICO)))
    except (ArithmeticError, ValueError):
        raise UsageError(f"cost {dollars[:40]!r} is no decimal number of US dollars such as '0.0125'") from None
    if not -_LIMIT < amount < _LIMIT:
        raise UsageError(f"cost {dollars[:40]!r} is more than the journal can count")
    return amount


def from_pico(pico: int) -> str:
    """Decimal text without exponent or trailing zeros; ``"0"`` for nothing."""
    sign, digits = ("-" if pico < 0 else ""), str(abs(pico)).rjust(PICO + 1, "0")
    whole, fraction = digits[:-PICO], digits[-PICO:].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
