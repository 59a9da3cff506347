"""Which surroundings code runs in: those that were chosen, never weaker ones instead."""

from collections.abc import Callable
from functools import cache
from importlib import import_module

from clew.core.errors import UsageError
from clew.gate.ports.sandbox import SandboxBackend

SURROUNDINGS = {
    "native": "clew.sandbox.native:NativeBackend",
    "docker": "clew.sandbox.docker.backend:DockerBackend",
}
"""Name -> ``module:class``; loaded when chosen."""


def default() -> SandboxBackend:
    """The surroundings for whom none were chosen."""
    return surroundings()


@cache
def surroundings(name: str = "native", image: str = "", runtime: str = "") -> SandboxBackend:
    """One backend for the process, so that it is probed once. Nothing is started before a sandbox is acquired.

    ``image`` and ``runtime`` are Docker's. Raises UsageError for an unknown name, and where they would mean nothing.
    """
    if name not in SURROUNDINGS:
        raise UsageError(f"no surroundings {name!r} to run code in", hint=f"there are: {', '.join(SURROUNDINGS)}")
    module, _, backend = SURROUNDINGS[name].partition(":")
    make: Callable[..., SandboxBackend] = getattr(import_module(module), backend)
    if name == "docker":
        return make(image, runtime)
    if image or runtime:
        raise UsageError(
            f"the {name} surroundings have no image and no runtime", hint="choose docker, or leave them out"
        )
    return make()
