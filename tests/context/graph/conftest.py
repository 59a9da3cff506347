"""Documents that state facts."""

import pytest

from clew.gate.ports.context import Relation, Version


def _version(n, id_, *relations, deleted=False, version=1, at=None):
    stated = tuple(
        Relation(
            subject=r[0], relation=r[1], object=r[2], confidence=r[3] if len(r) > 3 else 1.0,
            valid_from=r[4] if len(r) > 4 else None, valid_to=r[5] if len(r) > 5 else None,
        )
        for r in relations
    )  # fmt: skip
    return Version(n=n, id=id_, version=version, deleted=deleted, relations=stated, at=n * 10 if at is None else at)


@pytest.fixture
def version():
    """Makes a version: place, document, then (subject, relation, object, confidence, valid from, valid to) …"""
    return _version
