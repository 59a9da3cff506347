"""Reading values as W4 and W5 say, and writing them down so that two can be compared."""

import json
from typing import Any

ROUTE_KEYS = ("route", "selected_edge", "selected_edge_label", "decision", "condition", "next")


def label_of(output: Any) -> Any:
    if isinstance(output, dict):
        return next((output[key] for key in ROUTE_KEYS if key in output), None)
    return output


def dig(value: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def canonical(value: Any) -> str:
    """Canonical JSON; of errors only the code counts (texts and details are the engine's own)."""
    return json.dumps(without_texts(value), sort_keys=True, separators=(",", ":"))


def without_texts(value: Any) -> Any:
    if isinstance(value, dict):
        if "code" in value:
            inner = value.get("details")
            failures = inner.get("failures") if isinstance(inner, dict) and value["code"] == "merge_failed" else None
            return {"code": value["code"], "failures": without_texts(failures)}
        return {k: without_texts(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_texts(v) for v in value]
    return value
