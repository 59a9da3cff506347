"""Types that several sections use."""

from typing import Annotated, Any, Literal

import msgspec

from clew.manifest.quantities import DURATION, MONEY, SIZE


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """What a text, number or list must be like. ``what`` says it in words; ``unit`` is what a bare number lacks."""

    pattern: str | None = None
    min_length: int | None = None
    least: float | None = None
    most: float | None = None
    what: str = ""
    unit: str = ""


Name = Annotated[
    str,
    Bound(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$", what="a name of letters, digits, _ and - (64 at most)"),
]
DottedName = Annotated[
    str,
    Bound(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:/@-]{0,127}$",
        what="a name of letters, digits and _ . : / @ - (128 at most)",
    ),
]
FilledText = Annotated[str, Bound(min_length=1)]
Duration = Annotated[str, Bound(pattern=DURATION, what="a duration such as 500ms, 30s, 5m or 24h", unit="s")]
Size = Annotated[str, Bound(pattern=SIZE, what="a size such as 64KiB or 512MiB", unit="B")]
Money = (
    Annotated[float, Bound(least=0, most=999_999_999)]
    | Annotated[str, Bound(pattern=MONEY, what="an amount in US dollars such as 0.05")]
)
Share = Annotated[float, Bound(least=0, most=1)]
Count = Annotated[int, Bound(least=1, most=1_000_000_000)]
CountOrZero = Annotated[int, Bound(least=0, most=1_000_000_000)]
HandlerRef = Annotated[
    str,
    Bound(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$",
        what='"module:function"',
    ),
]
ModelRef = DottedName
SchemaRef = Name | dict[str, Any]
Backend = Literal["file", "sqlite", "postgres"]
TaskMode = Literal["implement", "analysis_only", "review", "dry_run", "safe_mode"]


class Section(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of every model: unknown keys are refused, what was not written is not written back."""


class Retention(Section):
    """How long something is kept. What goes first is the oldest."""

    max_items: Count | None = None
    """How many are kept."""
    max_age: Duration | None = None
    """How old they may become."""
    max_size: Size | None = None
    """How much room they may take."""
