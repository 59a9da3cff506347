"""Whether the numbers that findings state are facts. By counting again, never by asking anybody."""

import re
from decimal import Decimal
from typing import Any

from looking import search
from survey import survey
from tree import opened, read

from clew import Failure
from clew.tools.validate import file_errors

_NUMBER = re.compile(r"\d{1,3}(?:[,_’]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")


def check_numbers(args: dict[str, Any], context: Any) -> dict[str, Any]:
    """Every number of every finding against what its topic's facts hold, as they are now or as they are given.

    ``digest`` tells the state of the directory.
    """
    facts, given = survey({"tree": args["tree"]}, context), args.get("facts", {})
    checked, unsupported = 0, []
    for finding in args["findings"]:
        known = numbers([_evidence(finding, facts, args["tree"]), given.get(finding["topic"])])
        for number in sorted(numbers(finding["statement"])):
            checked += 1
            if number not in known:
                unsupported.append(
                    {"topic": finding["topic"], "number": f"{number:f}", "statement": finding["statement"]}
                )
    return {
        "verdict": "rejected" if unsupported else "accepted",
        "checked": checked,
        "unsupported": unsupported,
        "digest": facts["digest"],
    }


def numbers(value: Any) -> set[Decimal]:
    """All numbers in it, within texts too: ``1,234`` and ``1234`` are one."""
    if isinstance(value, bool) or value is None:
        return set()
    if isinstance(value, int | float):
        return {Decimal(str(value)).normalize()}
    if isinstance(value, str):
        return {Decimal(re.sub("[,_’]", "", found)).normalize() for found in _NUMBER.findall(value)}
    items = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    return {number for item in items for number in numbers(item)}


def _evidence(finding: dict, facts: dict, ticket: str) -> Any:
    """What a finding may take its numbers from. A search or a file is looked at again; an unknown topic has no evidence."""
    topic, term = finding["topic"], finding.get("term", "")
    try:
        if topic == "text":
            return [term, search(ticket, term)] if term else None
        if topic == "file":
            with opened(ticket) as root, file_errors(term):
                _, data = read(root, term)
            return [term, data.count(b"\n"), data.decode("utf-8", "replace")] if data else None
    except Failure:
        return None
    return facts.get(topic)
