"""What came of the faults, as tables."""

from collections import defaultdict
from statistics import median_low as median
from typing import Any


def line_of(row: dict[str, Any]) -> str:
    same = {None: "", True: "same diff", False: "OTHER DIFF"}[row["same"]]
    told = f"{row['package']:11} {row['operator'][:3]} {state(row):13} {row['reason'][:40]:12} tried {row['tried']:4}"
    return f"{told} {row['wall']:6.1f} s {same:9} {row['name']}"


STATES = ("exact", "equal", "unclear", "OTHER", "FALSE", "not repaired")


def state(row: dict[str, Any]) -> str:
    """One of ``STATES``."""
    if not row["diff"]:
        return "not repaired"
    if row["visible_failing"] or row["held_out_failing"]:
        return "FALSE"
    if row["exact"]:
        return "exact"
    told = row["shadow"]
    if any(t.get("differ", 0) + t.get("varied_differ", 0) for t in told):
        return "OTHER"
    seen = any(t.get("compared", 0) for t in told) and not any(t.get("unseen") or "error" in t for t in told)
    return "equal" if seen else "unclear"


def table(rows: list[dict[str, Any]], key: str) -> list[str]:
    """Lines of a Markdown table, one for each value of ``key`` and one for all."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    names = (
        "faults",
        "repaired",
        *STATES,
        "noticed by held-out",
        "median s",
        "longest s",
        "median CPU s",
        "median tries",
    )
    lines = [f"| {key} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for name, group in [*sorted(groups.items()), ("all", rows)]:
        states = [state(row) for row in group]
        walls = sorted(r["wall"] for r in group)
        middle, cpu, tries = (median(r[key] for r in group) for key in ("wall", "cpu", "tried"))
        counts = [states.count(s) for s in STATES]
        cells = [len(group), sum(counts[:-1]), *counts, sum(r["noticed"] for r in group)]
        cells += [middle, walls[-1], cpu, tries]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    return lines


def report(rows: list[dict[str, Any]]) -> str:
    lines = [*table(rows, "package"), "", *table(rows, "operator"), ""]
    twice = [row for row in rows if row["same"] is not None]
    lines.append(f"same diff: {sum(row['same'] for row in twice)} of {len(twice)} repaired more than once")
    for row in rows:
        if state(row) in {"FALSE", "OTHER", "unclear"}:
            lines += ["", f"{state(row)}: {row['name']}", row["fault"], "repaired by", row["diff"]]
            lines += [f"fails: {name}" for name in row["held_out_failing"][:5]]
            lines += [repr(example) for told in row.get("shadow", ()) for example in told.get("examples", ())]
    return "\n".join(lines)
