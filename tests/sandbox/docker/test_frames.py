from hypothesis import given
from hypothesis import strategies as st

from clew.sandbox.docker.frames import FRAME, LENGTH, pack, split


@given(st.integers(0, 2**32 - 1), st.binary(), st.binary())
def test_what_is_packed_can_be_split(number, header, data):
    message = pack(number, header, len(data)) + data
    assert FRAME.unpack_from(message) == (number, LENGTH.size + len(header) + len(data))
    assert split(message[FRAME.size :]) == (header, data)
