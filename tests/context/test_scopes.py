"""Scopes and their folders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context.scopes import Scope, of_folder, parse, tenant_folder
from clew.core.errors import UsageError


@pytest.mark.parametrize(
    "text", ["global", "project:demo", "session:a:b", "task:run-1", "project:../../etc", "session:~a"]
)
def test_scopes_there_and_back(text):
    assert str(parse(text)) == text
    assert of_folder(parse(text).folder) == parse(text)


@pytest.mark.parametrize(
    "text", ["", "global:x", "project", "project:", "team:x", "task:" + "x" * 300, "task:a\nb", "task:\x00"]
)
def test_what_is_no_scope_is_refused(text):
    with pytest.raises(UsageError):
        parse(text)


@given(st.text(min_size=1, max_size=200).filter(str.isprintable), st.sampled_from(["project", "session", "task"]))
def test_a_folder_is_one_name_whatever_the_id(one, kind):
    folder = Scope(kind, one).folder
    assert "/" not in folder
    assert folder not in (".", "..")
    assert len(folder.encode()) < 255
    assert of_folder(folder) in (Scope(kind, one), None)


def test_other_folders_are_no_scopes():
    assert of_folder("index") is of_folder("global=x") is of_folder("project=~0a") is of_folder("project") is None


def test_tenants_have_folders_of_their_own():
    assert tenant_folder("a/b") == "tenant=a%2Fb"
    assert tenant_folder("x" * 300) != tenant_folder("x" * 301)
    assert tenant_folder("\udcff") == "tenant=%FF", "the environment need not be UTF-8"
    assert len(tenant_folder("\udcff" * 300)) < 255


def test_no_name_is_that_of_one_that_was_shortened():
    shortened = tenant_folder("t" * 130).removeprefix("tenant=")
    assert tenant_folder(shortened) != tenant_folder("t" * 130)
    assert (
        Scope("task", Scope("task", "x" * 130).folder.removeprefix("task=")).folder != Scope("task", "x" * 130).folder
    )
    assert tenant_folder("a~b") == "tenant=a~b", "where it always was"
