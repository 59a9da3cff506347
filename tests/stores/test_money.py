"""Money is exact."""

from decimal import localcontext

import pytest

from clew.core.errors import UsageError
from clew.stores.money import from_pico, to_pico


@pytest.mark.parametrize(
    ("text", "pico"),
    [
        ("", 0),
        ("0", 0),
        ("1", 10**12),
        ("0.0025", 2_500_000_000),
        ("1.5e-7", 150_000),
        ("-0.5", -5 * 10**11),
        ("0.0000000000005", 0),
    ],
)
def test_text_to_pico(text, pico):
    assert to_pico(text) == pico


@pytest.mark.parametrize("text", ["0", "1", "0.0025", "12.000000000001", "-0.5", "9000000"])
def test_there_and_back(text):
    assert from_pico(to_pico(text)) == text


@pytest.mark.parametrize("text", ["a lot", "NaN", "Infinity", "1e30", "1e999999999", "0x10", "1,5"])
def test_what_is_no_amount(text):
    with pytest.raises(UsageError, match="cost"):
        to_pico(text)


def test_the_callers_precision_does_not_round_money():
    with localcontext(prec=3):
        assert to_pico("0.000012345678") == 12_345_678
