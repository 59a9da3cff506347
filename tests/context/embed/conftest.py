"""A tiny static embedding model, written as Model2Vec writes one, and texts to learn from."""

import json
import random

import numpy as np
import pytest

WORDS = ["[UNK]", "[PAD]", "pump", "leaks", "##age", "bread", "night", "leak"]


def safetensors(**arrays):
    header, data = {"__metadata__": {"format": "np"}}, b""
    for name, array in arrays.items():
        kind = {"f8": "F64", "f4": "F32", "f2": "F16", "i1": "I8", "i8": "I64", "u1": "U8"}[array.dtype.str[1:]]
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tokenizer(words=WORDS, **fields):
    model = {
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {word: place for place, word in enumerate(words)},
    }  # fmt: skip
    return json.dumps(
        {
            "version": "1.0", "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
            "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_id": 1, "pad_type_id": 0, "pad_token": "[PAD]",
                        "pad_to_multiple_of": None},
            "added_tokens": [], "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                                               "strip_accents": None, "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": None, "decoder": None, "model": model, **fields,
        }
    )  # fmt: skip


def table(dims=4):
    return np.random.default_rng(7).standard_normal((len(WORDS), dims)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """``folder(tokenizer=…, **tensors)``: one with a model of these."""

    def write(name="tiny", tokens=None, **arrays):
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        (path / "tokenizer.json").write_text(tokens or tokenizer())
        (path / "model.safetensors").write_bytes(safetensors(**(arrays or {"embeddings": table()})))
        return path

    return write


@pytest.fixture
def tiny():
    """The tiny model's parts."""
    return type("Tiny", (), {"words": WORDS, "safetensors": staticmethod(safetensors), "tokenizer": staticmethod(tokenizer),
                             "table": staticmethod(table)})  # fmt: skip


TOPICS = {
    "sea": ["ship", "captain", "harbour", "wave", "sailor", "storm", "anchor", "tide", "fish", "net"],
    "sky": ["plane", "pilot", "airport", "wing", "cloud", "runway", "engine", "flight", "tower", "jet"],
}


def _texts(n, seed=1):
    chance = random.Random(seed)
    return [" ".join(chance.choices(TOPICS["sea" if i % 2 else "sky"], k=12)) for i in range(n)]


@pytest.fixture
def texts():
    """``texts(n, seed=1)``: on two topics, whose words never meet."""
    return _texts


@pytest.fixture
def words():
    return lambda text: text.lower().split()
