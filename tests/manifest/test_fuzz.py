"""Whatever stands in a manifest, loading gives a Plan or a ManifestError."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.core.errors import ManifestError
from clew.manifest.plan import Plan, check, load

SETTINGS = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)

PIECES = st.sampled_from(
    [
        *"{}[]:,-#|>'\"\\~\n\t \0é😀\ufeff\u2028",
        *(": ", "- ", "\n  ", "&a ", "*a", "!x ", "!!int ", "<<: ", "? ", "%YAML 1.1\n", "---\n", "...\n"),
        *("null", "true", ".nan", "0x1", "1e999", "-1", "99999999999999999999", "a/b", "../../etc/passwd"),
        *(
            "id",
            "nodes",
            "edges",
            "from",
            "to",
            "role: merge",
            "over: items",
            "label: x",
            "on: failure",
            "joins: start",
        ),
        *("handlers:work", "schema_in: {$ref: x}", "schema_out: {type: [1]}", "tools: [x]"),
    ]
)

Mutation = tuple[int, int, str]

MUTATIONS = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 40), PIECES | st.text(max_size=6)), min_size=1, max_size=4
)


def _mutated(text: str, mutations: list[Mutation]) -> bytes:
    for at, length, piece in mutations:
        place = at % (len(text) + 1)
        text = text[:place] + piece + text[place + length :]
    return text.encode("utf-8", "surrogatepass")


def _is_report(error: ManifestError) -> None:
    assert error.problems
    assert all(problem.severity == "error" for problem in error.problems)


def _survives(root: Path) -> None:
    try:
        plan = load(root)
    except ManifestError as error:
        _is_report(error)
    else:
        assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
        assert not any(problem.severity == "error" for problem in check(root))


@SETTINGS
@given(mutations=MUTATIONS)
def test_mutated_manifests(full_project: Path, full: str, mutations: list[Mutation]) -> None:
    (full_project / "clew.yaml").write_bytes(_mutated(full, mutations))
    _survives(full_project)


@SETTINGS
@given(lines=st.lists(st.integers(0, 45), min_size=1, max_size=6), swap=st.booleans())
def test_lines_lost_or_repeated(full_project: Path, full: str, lines: list[int], swap: bool) -> None:
    text = full.split("\n")
    for line in lines:
        place = line % len(text)
        if swap:
            text.insert(place, text[(place * 7) % len(text)])
        elif len(text) > 1:
            del text[place]
    (full_project / "clew.yaml").write_text("\n".join(text))
    _survives(full_project)


@SETTINGS
@given(data=st.binary(max_size=200))
def test_any_bytes(full_project: Path, data: bytes) -> None:
    (full_project / "clew.yaml").write_bytes(data)
    with pytest.raises(ManifestError):
        load(full_project)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "$ref", "type", "nodes", "a"]), inner)
    ),
    max_leaves=12,
)


@SETTINGS
@given(
    values=st.dictionaries(st.sampled_from(["workflow", "agents", "tools", "memory", "policy", "crew", "models"]), JSON)
)
def test_any_json_in_any_section(full_project: Path, values: dict[str, object]) -> None:
    (full_project / "clew.yaml").unlink(missing_ok=True)
    (full_project / "clew.json").write_bytes(msgspec.json.encode(values))
    with pytest.raises(ManifestError):
        load(full_project)


@SETTINGS
@given(schema=JSON)
def test_any_json_as_a_schema(full_project: Path, schema: object) -> None:
    (full_project / "schemas" / "Ticket.json").write_bytes(msgspec.json.encode(schema))
    _survives(full_project)
