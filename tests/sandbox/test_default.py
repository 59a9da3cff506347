"""The process has one backend of a kind, so that it is probed once."""

import pytest

from clew.core.errors import UsageError
from clew.sandbox.default import default, surroundings
from clew.sandbox.docker.backend import DockerBackend
from clew.sandbox.native import NativeBackend


def test_there_is_one():
    assert default() is default()
    assert isinstance(default(), NativeBackend)
    assert surroundings("docker", "image", "runsc") is surroundings("docker", "image", "runsc")
    assert surroundings("docker", "image") is not surroundings("docker", "image", "runsc")
    assert isinstance(surroundings("docker"), DockerBackend)


def test_nothing_weaker_is_taken_instead():
    with pytest.raises(UsageError, match="no surroundings 'dokcer'"):
        surroundings("dokcer")
    with pytest.raises(UsageError, match="no image and no runtime"):
        surroundings("native", "", "runsc")
