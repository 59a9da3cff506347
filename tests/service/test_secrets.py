"""Where secrets are looked up, what is refused and how it is said, and that what was seen stays masked."""

import json
import os
import stat
from pathlib import Path

import pytest

from clew.core.errors import Failure
from clew.policies.redact import MASK
from clew.service import secrets as module
from clew.service.secrets import FILE_LIMIT, VALUE_LIMIT, Learned, ProjectSecrets


@pytest.fixture
def make(solo, tmp_path):
    """``make(key={"source": …}, …)``: the secrets of a plan with these credentials, its directory ``tmp_path``."""

    def secrets(**auths):
        return ProjectSecrets(plan(solo, **auths), tmp_path)

    return secrets


def plan(solo, **auths):
    credentials = [{"id": name, "auth": auth} for name, auth in auths.items()]
    return solo("async def a(input, ctx): ...\n", sections={"provider_credentials": credentials}).plan


def write(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def refused(secrets, name="key"):
    with pytest.raises(Failure) as raised:
        secrets.value(name)
    assert raised.value.code == "no_credential"
    return str(raised.value)


ENV = {"source": "env", "env_var": "TEST_SECRET_KEY"}
FILE = {"source": "file", "file_path": "key.txt"}


def keyed(key, path="keys.json"):
    return {"source": "file", "file_path": path, "file_key": key}


# -- where it is -------------------------------------------------------------------------------------------------------


def test_the_environment(make, monkeypatch):
    secrets = make(key=ENV)
    monkeypatch.setenv("TEST_SECRET_KEY", " sesame \n")
    assert secrets.value("key") == "sesame"
    monkeypatch.setenv("TEST_SECRET_KEY", "rotated")
    assert secrets.value("key") == "rotated"
    for empty in ("", "  "):
        monkeypatch.setenv("TEST_SECRET_KEY", empty)
        assert "the environment variable TEST_SECRET_KEY is not set or empty (export TEST_SECRET_KEY=…)" in refused(
            secrets
        )


def test_a_file_of_the_project_is_read_anew_when_it_has_changed(make, tmp_path):
    secrets = make(key=FILE)
    file = write(tmp_path / "key.txt", "\ufeff sesame\n")
    assert secrets.value("key") == secrets.value("key") == "sesame"
    write(file, "rotated, and longer")
    assert secrets.value("key") == "rotated, and longer"
    file.unlink()
    assert "key.txt cannot be read: No such file or directory" in refused(secrets)


def test_a_file_at_home_and_an_absolute_one(make, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    write(tmp_path / "home" / "key", "at-home")
    assert make(key={"source": "file", "file_path": "~/key"}).value("key") == "at-home"
    assert make(key={"source": "file", "file_path": str(tmp_path / "home" / "key")}).value("key") == "at-home"


def test_a_key_of_a_json_or_yaml_file(make, tmp_path):
    write(tmp_path / "keys.json", json.dumps({"services": {"main": {"key": "sesame"}}}))
    write(tmp_path / "keys.yaml", "services:\n  main: {key: open}\nnumber: 12345\n")
    assert make(key=keyed("services.main.key")).value("key") == "sesame"
    assert make(key=keyed("services.main.key", "keys.yaml")).value("key") == "open"
    assert "has no key 'services.other'" in refused(make(key=keyed("services.other")))
    assert "has no key 'services.main.key.more'" in refused(make(key=keyed("services.main.key.more")))
    assert "'services.main' in" in refused(make(key=keyed("services.main")))
    assert "is no text (put it in quotes)" in refused(make(key=keyed("number", "keys.yaml")))


@pytest.mark.parametrize(
    "text",
    ["{secret-in: [", "a: sesame-open\na: sesame-open", "- &a [*a]", "a: !!python/object:os sesame-open", b"\xff\xfe"],
)
def test_a_broken_file_is_not_quoted(make, tmp_path, text):
    write(tmp_path / "keys.yaml", text)
    said = refused(make(key=keyed("a.b", "keys.yaml")))
    assert "sesame" not in said
    assert "secret-in" not in said


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_credential_that_is_not_declared(make):
    assert "no credential 'other'; the project declares key" in refused(make(key=ENV), "other")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777])
def test_a_file_that_others_can_open(make, tmp_path, mode):
    file = write(tmp_path / "key.txt", "sesame-open", mode)
    assert refused(make(key=FILE)) == f"credential key: {file} is open to others (chmod 600 {file})"


def test_behind_a_link_the_target_counts(make, tmp_path):
    target = write(tmp_path / "target", "sesame-open", 0o644)
    (tmp_path / "key.txt").symlink_to(target)
    assert "chmod 600" in refused(make(key=FILE))
    target.chmod(0o400)
    assert make(key=FILE).value("key") == "sesame-open"
    target.unlink()
    assert "cannot be read" in refused(make(key=FILE))


def test_a_file_of_another_user(make, tmp_path, monkeypatch):
    write(tmp_path / "key.txt", "sesame-open")
    monkeypatch.setattr(module.os, "geteuid", lambda: os.getuid() + 1)
    monkeypatch.setattr(module, "_ROOT", os.getuid() + 2)
    assert "belongs to another user (chown" in refused(make(key=FILE))
    monkeypatch.setattr(module, "_ROOT", os.getuid())  # root's may be used
    assert make(key=FILE).value("key") == "sesame-open"


def test_what_is_no_file_does_not_hold_us_up(make, tmp_path):
    os.mkfifo(tmp_path / "key.txt", 0o600)
    assert stat.S_ISFIFO((tmp_path / "key.txt").stat().st_mode)
    assert "is not a regular file" in refused(make(key=FILE))
    assert "is not a regular file" in refused(make(key={"source": "file", "file_path": "."}))


@pytest.mark.parametrize("path", ["~nobody-of-this-name/key", "a\0b"])
def test_a_path_that_is_none(make, path):
    secrets = make(key={"source": "file", "file_path": path})
    assert "is no file" in refused(secrets)
    assert secrets.known() == ()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"x" * (FILE_LIMIT + 1), "has more than 64 KiB"),
        (b"x" * (VALUE_LIMIT + 1), "has more than 8,192 characters"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"", "is not set or empty"),
        (b"two\nlines", "is not one line of plain ASCII characters"),
        ("schlüssel".encode(), "is not one line of plain ASCII characters"),
    ],
)
def test_contents_that_are_no_key(make, tmp_path, data, said):
    write(tmp_path / "key.txt", data)
    assert said in refused(make(key=FILE))


# -- what is known -----------------------------------------------------------------------------------------------------


def test_known_is_what_is_there_now_and_what_was_seen(make, tmp_path, monkeypatch):
    monkeypatch.delenv("TEST_SECRET_KEY", raising=False)
    secrets = make(env=ENV, file=FILE, keyed=keyed("a"))
    assert secrets.known() == ()
    monkeypatch.setenv("TEST_SECRET_KEY", "from-env")
    write(tmp_path / "key.txt", "from-file")
    assert secrets.known() == ("from-env", "from-file")
    assert secrets.known() is secrets.known()
    write(tmp_path / "key.txt", "rotated-file")
    monkeypatch.delenv("TEST_SECRET_KEY")
    assert secrets.known() == ("from-env", "from-file", "rotated-file")


def test_what_is_refused_is_known_all_the_same(make, tmp_path, monkeypatch):
    write(tmp_path / "key.txt", "open-to-others", 0o644)
    monkeypatch.setenv("TEST_SECRET_KEY", "two\nlines")
    assert make(env=ENV, file=FILE).known() == ("two\nlines", "open-to-others")


def test_a_short_value_is_given_but_not_masked_and_that_is_said_once(make, monkeypatch, caplog):
    monkeypatch.setenv("TEST_SECRET_KEY", "abc")
    secrets = make(key=ENV)
    assert (secrets.value("key"), secrets.known(), secrets.known()) == ("abc", (), ())
    assert [r.getMessage() for r in caplog.records] == [
        "credential key is too short, or a plain word: it is not masked where it is shown"
    ]


def test_no_secret_in_a_repr(make, monkeypatch):
    monkeypatch.setenv("TEST_SECRET_KEY", "sesame-open")
    secrets = make(key=ENV)
    secrets.value("key")
    assert repr(secrets) == "ProjectSecrets(key)"


# -- of all projects ---------------------------------------------------------------------------------------------------


def test_one_redactor_masks_the_secrets_of_every_project(solo, tmp_path, monkeypatch):
    learned = Learned(fields=["customer"], prefixes=["acme_"])
    monkeypatch.setenv("TEST_SECRET_KEY", "from-env")
    one = plan(solo, key=ENV)
    first = learned.of(one, tmp_path)
    assert learned.of(one, tmp_path) is first
    assert learned.of(one, tmp_path / "elsewhere") is not first
    before = learned.redactor
    assert before.text("from-env from-file") == f"{MASK} from-file"
    assert learned.redactor is before
    learned.of(plan(solo, key=FILE), tmp_path)
    write(tmp_path / "key.txt", "from-file")
    assert learned.redactor.text("from-env from-file") == f"{MASK} {MASK}"
    assert learned.redactor.value({"customer": 1, "a": "acme_" + "x" * 12}) == {"customer": MASK, "a": MASK}
