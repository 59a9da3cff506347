import pytest

from clew.manifest.quantities import dollars, milliseconds, size_bytes


@pytest.mark.parametrize(
    ("text", "value"),
    [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("24h", 86_400_000), ("1.5s", 1500), ("2d", 172_800_000)],
)
def test_durations(text: str, value: int) -> None:
    assert milliseconds(text) == value


@pytest.mark.parametrize(("text", "value"), [("0B", 0), ("64KiB", 65536), ("1.5MiB", 1572864), ("512MiB", 536870912)])
def test_sizes(text: str, value: int) -> None:
    assert size_bytes(text) == value


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "5S", "1e3s", "5s\n", "9" * 13 + "s"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        milliseconds(text)
    with pytest.raises(ValueError):
        size_bytes(text)


@pytest.mark.parametrize(
    ("value", "text"), [(0.05, "0.05"), (2.0, "2"), ("2.50", "2.5"), (1e-7, "0.0000001"), (0.0, "0"), (9e2, "900")]
)
def test_money(value: str | float, text: str) -> None:
    assert dollars(value) == text


@pytest.mark.parametrize("value", ["x", -1.0, float("nan"), float("inf"), 1e30])
def test_no_money(value: str | float) -> None:
    with pytest.raises(ValueError):
        dollars(value)
