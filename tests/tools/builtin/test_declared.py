import msgspec
import pytest

from clew.core.errors import Failure, UsageError
from clew.manifest.compiled import ToolPlan
from clew.tools.builtin.declared import config_of, off, secret_of


class Config(msgspec.Struct, forbid_unknown_fields=True):
    size: int = 1
    name: str = "a"


class Keys:
    def value(self, credential):
        return f"value of {credential}"

    def known(self):
        return []


def test_config():
    assert config_of(Config, "t", ToolPlan(type="builtin", config={"size": 2})).size == 2
    assert config_of(Config, "t", ToolPlan(type="builtin")).name == "a"


@pytest.mark.parametrize("config", [{"size": "x"}, {"sise": 1}])
def test_config_that_does_not_fit(config):
    with pytest.raises(UsageError, match=r"tool 't': config: .*(size|sise).*its keys are size, name"):
        config_of(Config, "t", ToolPlan(type="builtin", config=config))


def test_off_says_how_it_is_turned_on():
    failure = off("t", "{hosts: [a]}")
    assert failure.code == "tool_off"
    assert "network: true" in str(failure)
    assert "{hosts: [a]}" in str(failure)


def test_secrets():
    assert secret_of(Keys(), "a") == "value of a"
    with pytest.raises(Failure) as caught:
        secret_of(None, "a")
    assert caught.value.code == "no_credential"
