import threading

import pytest

from clew.context.embed.spent import Spent, spend, spent


def test_sums_by_embedder(tmp_path):
    folder = tmp_path / "scope"
    assert spent(folder) == {}
    spend(folder, "p/a", Spent(requests=1, texts=3, tokens=50, cost="0.0000011"))
    spend(folder, "p/a", Spent(requests=1, texts=1, tokens=5, cost="0.1"))
    spend(folder, "p/b", Spent(requests=1, texts=1, unpriced=1))
    assert spent(folder) == {
        "p/a": Spent(requests=2, texts=4, tokens=55, cost="0.1000011"),
        "p/b": Spent(requests=1, texts=1, unpriced=1),
    }


def test_nothing_is_lost_between_writers(tmp_path):
    def write():
        for _ in range(20):
            spend(tmp_path, "p/a", Spent(requests=1))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spent(tmp_path)["p/a"].requests == 80


@pytest.mark.parametrize("text", ["", "{", "[]", '{"p": {"cost": "x"}}'])
def test_what_cannot_be_read_begins_anew(tmp_path, text):
    (tmp_path / "embedding.json").write_text(text)
    assert spent(tmp_path) == {}
    spend(tmp_path, "p/a", Spent(requests=1))
    assert spent(tmp_path)["p/a"].requests == 1
