import struct

import msgspec
import pytest

from clew.core.errors import UsageError
from clew.gate.ports.sandbox import ExecRequest
from clew.sandbox.wire import decode, encode


def test_a_request_is_length_json_and_input():
    message = encode(ExecRequest(argv=("a",), env={"B": "c"}, stdin=b"\0in", preloaded=True), probe=False)
    (length,) = struct.unpack_from("!I", message)
    header = msgspec.json.decode(message[4 : 4 + length])
    assert message[4 + length :] == b"\0in"
    assert header["argv"] == ["a"]
    assert (header["stdin"], header["probe"], header["preloaded"], header["env"]) == (3, False, True, {"B": "c"})


@pytest.mark.parametrize("request_", [ExecRequest(argv=()), ExecRequest(argv=("a",), wall_s=-1)])
def test_requests_that_make_no_sense(request_):
    with pytest.raises(UsageError):
        encode(request_, probe=False)


def test_an_answer_and_none():
    header = msgspec.json.encode({"status": "OK", "rc": 0, "stdout": 2, "stderr": 1})
    result = decode(struct.pack("!I", len(header)) + header + b"abc", ("x",))
    assert (result.status, result.rc, result.stdout, result.stderr, result.cmd) == ("OK", 0, b"ab", b"c", ("x",))
    assert decode(b"", ("x",)).status == "INTERNAL_ERROR"
