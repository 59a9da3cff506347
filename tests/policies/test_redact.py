"""Redaction (P8) and the removal of credentials at the gate."""

import time

import pytest

from clew.core.errors import Failure
from clew.gate.door import Door
from clew.gate.effect import Effect
from clew.policies.redact import MASK, Credentials, Redactor
from clew.testing import MemoryRecord, ScriptedDriver

KEY = "sk-" + "a1B2" * 6


@pytest.mark.parametrize(
    "token",
    [KEY, "ghp_" + "x" * 36, "github_pat_" + "y" * 30, "AKIA" + "Z" * 16, "AIza" + "q" * 35, "hf_" + "w" * 20,
     "xoxb-123456789012-abc", "glpat-" + "v" * 20],
)  # fmt: skip
def test_well_known_tokens_are_masked_wherever_they_stand(token):
    assert Redactor().text(f"use {token}, please") == f"use {MASK}, please"


def test_a_private_key_is_masked_whole():
    pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd\n-----END RSA PRIVATE KEY-----"
    assert Redactor().text(f"a {pem} b") == f"a {MASK} b"


@pytest.mark.parametrize(
    "text", ["risk-averse behaviour", "sk-short", "task-1234567890123456", "ask-me-anything-please"]
)
def test_plain_words_are_left_alone(text):
    assert Redactor().text(text) == text


def test_fields_are_masked_by_name_however_they_are_written():
    value = {
        "Password": "x",
        "api-key": "y",
        "user": "z",
        "nested": [{"TOKEN": {"deep": 1}}],
        "empty": {"secret": "", "token": None},
    }
    assert Redactor().value(value) == {
        "Password": MASK, "api-key": MASK, "user": "z", "nested": [{"TOKEN": MASK}], "empty": {"secret": "", "token": None},
    }  # fmt: skip


def test_own_fields_prefixes_and_values():
    redactor = Redactor(fields=["Customer-Id"], prefixes=["acme_"], values=["hunter22", "abc"])
    assert redactor.value({"customer_id": 5}) == {"customer_id": MASK}
    assert redactor.text("acme_" + "k" * 20) == MASK
    assert redactor.text("it is hunter22!") == f"it is {MASK}!"
    assert redactor.text("abc") == "abc"  # too short to be masked without harm


def test_the_longer_of_two_known_values_is_masked_whole():
    assert Redactor(values=["hunter", "hunter22"]).text("hunter22") == MASK


def test_a_secret_in_a_key_and_in_a_tuple():
    assert Redactor().value({KEY: (KEY, 1)}) == {MASK: [MASK, 1]}


def test_what_is_no_text_stays():
    assert Redactor().value([1, 2.5, True, None]) == [1, 2.5, True, None]


def test_the_original_is_not_changed():
    value = {"password": "x"}
    Redactor().value(value)
    assert value == {"password": "x"}


@pytest.mark.slow
def test_redaction_is_fast_enough():
    text = "The quick brown fox jumps over the lazy dog. 0123456789\n" * 20_000
    redactor = Redactor(values=["hunter22"])
    best = min(_seconds(redactor, text) for _ in range(3))
    assert len(text) / best > 30e6 / 4, "P8: 30 MB/s on an idle machine; a quarter of it on a busy one"


def _seconds(redactor, text):
    began = time.perf_counter()
    redactor.text(text)
    return time.perf_counter() - began


async def through(credentials, answer):
    record = MemoryRecord()
    door = Door(record, (credentials,), {"tool": ScriptedDriver(answer)})
    await door.perform(Effect(key="k", kind="tool", name="n", request={}, task="0", node="a"))
    return record.events[-1].payload


async def test_credentials_never_come_back_through_the_gate():
    secret = Credentials(("hunter2", "hunter22"))
    assert (await through(secret, {"a": ["x hunter22 y", 1], "hunter2": True}))["output"] == {
        "a": [f"x {MASK} y", 1], MASK: True,
    }  # fmt: skip
    payload = await through(secret, Failure("bad key hunter2", code="auth", details={"sent": "hunter22"}))
    assert "hunter2" not in str(payload)
    assert payload["error"]["code"] == "auth"


async def test_without_credentials_outcomes_are_as_they_were():
    assert (await through(Credentials(()), {"a": "x"}))["output"] == {"a": "x"}
