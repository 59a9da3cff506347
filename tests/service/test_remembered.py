"""What is shown of a document: whole where it is asked for, its beginning in lists."""

from clew.gate.ports.context import Version
from clew.service.remembered import cut, document_of


def test_a_list_shows_the_beginning_of_a_long_text():
    assert cut("x" * 2000) == "x" * 2000
    assert cut("x" * 2001) == "x" * 2000 + " [cut: 2,000 of 2,001 characters]"


def test_a_version_as_a_document():
    version = Version(
        n=7, id="a", version=3, parent=2, text="x" * 2001, metadata={"k": 1}, embedder="e", origin="cli", at=9
    )
    whole = document_of(version, "global", whole=True)
    assert (whole.text, whole.place, whole.version, whole.parent_version) == (version.text, 7, 3, 2)
    assert (whole.scope, whole.metadata, whole.origin, whole.at, whole.deleted) == ("global", {"k": 1}, "cli", 9, False)
    assert document_of(version, "global").text == cut(version.text)
