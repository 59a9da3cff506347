import struct

from clew.gate.ports.embedding import EmbeddingRequest
from clew.models.offline.embedding import DIMS, OfflineEmbedder


async def embedded(*texts, **fields):
    embedder = OfflineEmbedder()
    found = await embedder.embed("m", EmbeddingRequest(model="p/m", texts=texts, **fields))
    await embedder.close()
    return found, [struct.unpack(f"<{len(vector) // 4}f", vector) for vector in found.vectors]


def near(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


async def test_texts_that_share_words_are_near():
    found, (leak, leaks, bread) = await embedded("The pump leaks", "pump: it leaks!", "Bread is baked at night")
    assert len(leak) == DIMS
    assert near(leak, leaks) > 0.5 > abs(near(leak, bread)) + 0.2
    assert abs(near(leak, leak) - 1) < 1e-5
    assert (found.model, found.usage.input_tokens) == ("offline/m", 11)


async def test_the_same_everywhere_and_of_any_length():
    _, (short, empty) = await embedded("pump", "…", dimensions=16)
    assert [round(one, 4) for one in short] == [round(one, 4) for one in (await embedded("PUMP", dimensions=16))[1][0]]
    assert len(short) == 16
    assert not any(empty)
