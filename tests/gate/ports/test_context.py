"""What crosses the context port: plain data, checked where it comes from outside."""

import msgspec
import pytest

from clew.gate.ports.context import Put, Relation, Remove, SearchConfig, Version


def test_a_search_says_nothing_it_need_not():
    config = msgspec.convert({}, SearchConfig)
    assert config == SearchConfig()
    assert (config.k, config.strategy, config.fusion, config.rrf_k) == (10, "AUTO", None, 60)
    assert config.graph_weight == 0, "the graph joins where it is asked to"


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"k": "10"}, r"\$\.k"),
        ({"k": 1.5}, r"\$\.k"),
        ({"k": True}, r"\$\.k"),
        ({"strategy": "auto"}, r"\$\.strategy"),
        ({"fusion": "SUM"}, r"\$\.fusion"),
        ({"dense_weight": "much"}, r"\$\.dense_weight"),
    ],
)
def test_what_is_no_configuration_is_refused_by_its_path(given, where):
    with pytest.raises(msgspec.ValidationError, match=where):
        msgspec.convert(given, SearchConfig)


def test_changes_are_values():
    one = Put(id="a", metadata={"x": 1})
    with pytest.raises(AttributeError):
        one.id = "b"  # type: ignore[misc]
    assert one == Put(id="a", metadata={"x": 1}) != Put(id="a")
    assert Put(id="a").metadata is not Put(id="b").metadata, "nobody writes into the metadata of others"
    assert Remove(id="a").expected is None


def test_a_version_goes_over_the_wire_and_back():
    version = Version(
        n=3, id="a", version=2, parent=1, text="t", metadata={"x": [1, None]}, vector=b"\0\0\x80?", embedder="e",
        relations=(Relation(subject="A", relation="knows", object="B", confidence=0.5, valid_from=1),), origin="cli", at=7,
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(version), type=Version) == version
