import pytest

from clew.core.errors import UsageError
from clew.service.settings import VARIABLES, Settings, read


def test_defaults():
    assert read({}) == Settings()
    assert Settings().directory.name == ".clew"
    assert Settings(state=":memory:").directory is None


def test_the_environment_sets_and_flags_go_before_it():
    environ = {
        "CLEW_STATE": "/a",
        "CLEW_USER": "ada",
        "CLEW_LOG": "DEBUG",
        "CLEW_REDACT_FIELDS": " iban , ,ssn ",
        "OTHER": "x",
    }
    settings = read(environ, state="/b", tenant=None)
    assert (settings.state, settings.user, settings.tenant) == ("/b", "ada", "local")
    assert settings.redact_fields == ("iban", "ssn")


def test_an_empty_variable_is_none():
    assert read({"CLEW_STATE": ""}).state == ".clew"


@pytest.mark.parametrize(
    ("environ", "otlp"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, "http://a"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "CLEW_OTLP": "http://b"}, "http://b"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "CLEW_OTLP": "off"}, ""),
        ({}, ""),
    ],
)
def test_where_traces_go(environ: dict[str, str], otlp: str):
    assert read(environ).otlp == otlp


def test_an_unknown_name_and_an_unknown_level():
    with pytest.raises(UsageError, match="no such setting: colour"):
        read({}, colour="red")
    with pytest.raises(UsageError, match="'loud'; it is one of debug, info, warning, error"):
        read({"CLEW_LOG": "loud"})


def test_every_field_has_a_variable_and_there_are_few():
    assert set(VARIABLES) == set(Settings.__struct_fields__)
    assert len(VARIABLES) <= 30
