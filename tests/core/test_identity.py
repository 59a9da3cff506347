import hashlib

import pytest

from clew.core.identity import body_key, canonical, chain, digest, digest_bytes, payload_digest


def test_canonical_json_has_sorted_keys_and_no_spaces():
    assert (
        canonical({"b": [1, 2.5, None], "a": {"d": True, "c": "ä"}})
        == '{"a":{"c":"ä","d":true},"b":[1,2.5,null]}'.encode()
    )


def test_a_digest_does_not_depend_on_key_order():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError):
        canonical(object())


def test_a_blob_has_the_address_of_its_bytes():
    assert digest_bytes(b"x") == hashlib.sha256(b"x").hexdigest()


def test_a_payload_digest_is_salted():
    assert payload_digest(b"salt", b"body") == hashlib.sha256(b"saltbody").hexdigest()
    assert payload_digest(b"1", b"body") != payload_digest(b"2", b"body")


@pytest.mark.parametrize("changed", [("p2", b"e", "d"), ("p", b"e2", "d"), ("p", b"e", "d2")])
def test_every_part_of_a_link_counts(changed):
    assert chain("p", b"e", "d") != chain(*changed)


def test_the_parts_of_a_link_cannot_be_shifted_into_each_other():
    assert chain("", b"a", "b") != chain("a", b"", "b") != chain("", b"", "a\nb")


def test_a_body_key():
    assert body_key("0.2", "work", 1) == "0.2/work#1"
