"""Run SQL: ``sql.py ENGINE SCRIPT [FILE.csv…]`` with ENGINE ``sqlite`` or ``duckdb``, on a database in memory.

Every CSV file becomes a table named after it. For each statement that has a result, one line of JSON with the names of
its columns, then one line for each row. The first error ends the script.
"""

import csv
import importlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from typing import Any

_Run = Callable[[str], tuple[list[str], Iterator[Any]]]


def main(engine: str, script: str, *tables: str) -> None:
    """Print what ``script`` yields."""
    with open(script, encoding="utf-8") as file:
        text = file.read()
    run = _sqlite(tables) if engine == "sqlite" else _duckdb(tables)
    for statement in _statements(text):
        try:
            columns, rows = run(statement)
            if columns:
                print(json.dumps({"columns": columns}))
                for row in rows:
                    print(json.dumps(row, default=_text, ensure_ascii=False))
        except Exception as error:  # whatever the database says is the answer
            sys.stdout.flush()
            sys.exit(f"{type(error).__name__}: {error}\nin: {statement.strip()[:500]}")


def _statements(text: str) -> Iterator[str]:
    statement = ""
    for part in text.splitlines(keepends=True):
        pieces = part.split(";")
        for number, piece in enumerate(pieces):
            statement += piece + (";" if number < len(pieces) - 1 else "")
            if statement.endswith(";") and sqlite3.complete_statement(statement):
                yield statement
                statement = ""
    if statement.strip():
        yield statement


def _sqlite(tables: tuple[str, ...]) -> _Run:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for path in tables:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, None) or ["value"]
            names = ", ".join(f"{_quoted(name)} NUMERIC" for name in header)
            marks = ", ".join("?" * len(header))
            connection.execute(f"CREATE TABLE {_name(path)} ({names})")
            connection.executemany(
                f"INSERT INTO {_name(path)} VALUES ({marks})",  # noqa: S608 - quoted
                ([*row, *[None] * len(header)][: len(header)] for row in rows if row),
            )

    def run(statement: str) -> tuple[list[str], Iterator[Any]]:
        cursor = connection.execute(statement)
        return [column[0] for column in cursor.description or ()], cursor

    return run


def _duckdb(tables: tuple[str, ...]) -> _Run:
    connection = importlib.import_module("duckdb").connect(":memory:")
    for path in tables:
        source = path.replace("'", "''")
        connection.execute(f"CREATE TABLE {_name(path)} AS SELECT * FROM read_csv_auto('{source}')")  # noqa: S608

    def run(statement: str) -> tuple[list[str], Iterator[Any]]:
        cursor = connection.execute(statement)
        return [column[0] for column in cursor.description or ()], iter(cursor.fetchone, None)

    return run


def _name(path: str) -> str:
    return _quoted(os.path.splitext(os.path.basename(path))[0])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    main(*sys.argv[1:])
