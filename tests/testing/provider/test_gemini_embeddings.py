from clew.testing.provider import FakeProvider, Step
from clew.testing.provider.embeddings import made


def one(text, **fields):
    return {"model": "models/m", "content": {"parts": [{"text": text}]}, **fields}


async def test_vectors_in_order(call):
    async with FakeProvider(Step(), Step(vectors=((1.0,),)), repeat=True) as fake:
        found = (await call(fake.port, "gemini_embeddings", requests=[one("a", outputDimensionality=3), one("b")])).json
        given = (await call(fake.port, "gemini_embeddings", requests=[one("a")])).json
        none = (await call(fake.port, "gemini_embeddings")).json
    assert found == {"embeddings": [{"values": list(made("a", 3))}, {"values": list(made("b", 3))}]}
    assert given == {"embeddings": [{"values": [1.0]}]}
    assert none == {"embeddings": []}
    assert fake.seen[0].model(Step()) == "m"
