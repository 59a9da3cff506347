"""How long a collection takes to open: N documents with vectors, of which the last TAIL came after the indexes were saved.

    python bench/reopening.py FOLDER [--documents 100000] [--tail 10000] [--dims 384]

Builds the collection in FOLDER when it is not there, then opens it in fresh processes and tells what the time goes to.
"""

import argparse
import cProfile
import pstats
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from clew.context import tended
from clew.context.collection import Collection
from clew.context.log.sqlite import SqliteLog
from clew.gate.ports.context import Put, Query

BATCH = 1000
WORDS = 30_000
LENGTH = 60
RUNS = 5


def opened(folder: Path) -> Collection:
    return Collection(SqliteLog.open(folder / "truth.db"), folder, now=lambda: int(time.time() * 1000), space="given")


def build(folder: Path, documents: int, tail: int, dims: int) -> None:
    """Saves the indexes ``tail`` documents before the end, and ends without saving again."""
    draw = np.random.default_rng(1)
    tended.SAVE_EVERY = 10**9  # when it is saved is decided here
    folder.mkdir(parents=True)
    collection = opened(folder)
    for start in range(0, documents, BATCH):
        if start == documents - tail:
            collection.tend()
            collection.save()
        words = np.minimum(draw.zipf(1.3, (BATCH, LENGTH)), WORDS)
        vectors = draw.standard_normal((BATCH, dims), dtype=np.float32)
        collection.write(
            [
                Put(
                    id=f"doc-{start + i}",
                    text=" ".join(f"w{n}" for n in words[i]),
                    metadata={"kind": f"k{(start + i) % 10}", "n": start + i},
                    vector=vectors[i].astype("<f4").tobytes(),
                    embedder="bench",
                )
                for i in range(BATCH)
            ]
        )
    collection.log.close()  # as if it were killed


def tell(folder: Path, *, profiled: bool) -> None:
    profile = cProfile.Profile()
    began, cpu = time.perf_counter(), time.process_time()
    if profiled:
        profile.enable()
    collection = opened(folder)
    profile.disable()
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    found = collection.search(Query(text="w17 w23"))
    first = time.perf_counter() - began - took
    stats = collection.stats()
    print(
        f"open {took:.3f} s (cpu {cpu:.3f}), first search {first * 1000:.1f} ms, {stats['documents']} documents, "
        f"{stats['head'] - stats['saved']} not saved, {len(found.hits)} hits",
        flush=True,
    )
    if profiled:
        pstats.Stats(profile).sort_stats("tottime").print_stats(14)
    collection.log.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name, default in (("--documents", 100_000), ("--tail", 10_000), ("--dims", 384)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--once", action="store_true", help="open in this process")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    if given.once:
        tended.SAVE_EVERY = 10**9  # nothing in the background
        tell(given.folder, profiled=given.profile)
        return
    if not given.folder.exists():
        began = time.perf_counter()
        build(given.folder, given.documents, given.tail, given.dims)
        print(f"built in {time.perf_counter() - began:.0f} s")
    for _ in range(RUNS):
        subprocess.run([sys.executable, __file__, str(given.folder), "--once"], check=True)
    subprocess.run([sys.executable, __file__, str(given.folder), "--once", "--profile"], check=True)


if __name__ == "__main__":
    main()
