"""The tables: what is derived can be told from the log alone."""

import sqlite3
from pathlib import Path

from clew.context.log.sqlite import SqliteLog
from clew.gate.ports.context import Put, Remove

NEWEST = "SELECT max(n) AS n, id FROM docs GROUP BY id"
LIVE = f"SELECT d.n, d.id, d.at FROM docs d JOIN ({NEWEST}) x ON x.n = d.n WHERE NOT d.deleted ORDER BY d.n"


def test_what_is_live_follows_from_the_log(tmp_path: Path) -> None:
    log = SqliteLog.open(tmp_path / "truth.db")
    for n in range(30):
        log.write([Put(id=f"d{n % 7}", text=str(n)), Remove(id=f"d{n * 3 % 7}")], n)
    log.close()
    connection = sqlite3.connect(tmp_path / "truth.db")
    live = connection.execute(LIVE).fetchall()
    assert connection.execute("SELECT n, id, at FROM cur ORDER BY n").fetchall() == live
    assert (
        connection.execute("SELECT live, size FROM totals").fetchall()
        == connection.execute("SELECT count(*), sum(size) FROM cur").fetchall()
    )
    connection.close()
