"""The surroundings that this machine offers, for code that does not care which."""

from functools import cache

from clew.gate.ports.sandbox import SandboxBackend
from clew.sandbox.native import NativeBackend


@cache
def default() -> SandboxBackend:
    """One backend for the process, so that it is probed once. Nothing is started before a sandbox is acquired."""
    return NativeBackend()
