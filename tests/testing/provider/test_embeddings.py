import struct
from base64 import b64decode

from clew.testing.provider import FakeProvider, Step
from clew.testing.provider.embeddings import made


async def test_vectors_by_place_in_both_encodings(call):
    async with FakeProvider(Step(shuffled=True), Step(), Step(vectors=((1.0, 2.0),)), Step(status=429)) as fake:
        plain = (await call(fake.port, "embeddings", input=["a b", "c"], dimensions=4)).json
        coded = (await call(fake.port, "embeddings", input="a b", encoding_format="base64")).json
        given = (await call(fake.port, "embeddings", input=["x"])).json
        refused = await call(fake.port, "embeddings", input=["x"])
    assert [(one["index"], one["embedding"]) for one in plain["data"]] == [
        (1, list(made("c", 4))),
        (0, list(made("a b", 4))),
    ]
    assert plain["usage"] == {"prompt_tokens": 10, "total_tokens": 10}
    assert struct.unpack("<8f", b64decode(coded["data"][0]["embedding"])) == made("a b", 8)
    assert given["data"][0]["embedding"] == [1.0, 2.0]
    assert (refused.status, refused.json["error"]["type"]) == (429, "invalid_request_error")
