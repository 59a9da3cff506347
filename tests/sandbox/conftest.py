import pytest

from clew.sandbox.native import NativeBackend


@pytest.fixture(scope="session")
def backend() -> NativeBackend:
    backend = NativeBackend()
    if not backend.probe().usable:
        pytest.skip(f"no confinement on this machine: {backend.probe().reason}")
    return backend
