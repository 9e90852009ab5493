"""From one version of the schema to the next: in order, once, after a copy, also when the process is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from annotation.errors import StudyError
from annotation.store import migrations, opening
from annotation.study import Study


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=environment
    )


def old_database(path: Path) -> None:
    Study.open(path, create=True).close()


def test_migrations_run_once_in_order_after_a_copy(tmp_path):
    old_database(tmp_path)
    connection = opening._connect(tmp_path / "study.db")
    steps = {
        1: lambda c: c.execute("CREATE TABLE later (x)"),
        2: lambda c: c.execute("INSERT INTO later VALUES (7)"),
    }
    copy = migrations.migrate(connection, tmp_path / "study.db", 3, steps)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 3
    assert connection.execute("SELECT x FROM later").fetchall()[0][0] == 7
    assert migrations.migrate(connection, tmp_path / "study.db", 3, steps) is None
    before = sqlite3.connect(copy)
    assert before.execute("PRAGMA user_version").fetchone()[0] == 1
    assert before.execute("SELECT count(*) FROM sqlite_master WHERE name = 'later'").fetchone()[0] == 0
    before.close()
    connection.close()
    with pytest.raises(StudyError, match="newer dabench"):
        Study.open(tmp_path)


def test_a_migration_that_fails_changes_nothing(tmp_path):
    old_database(tmp_path)
    connection = opening._connect(tmp_path / "study.db")

    def half(c: sqlite3.Connection) -> None:
        c.execute("CREATE TABLE later (x)")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        migrations.migrate(connection, tmp_path / "study.db", 2, {1: half})
    with pytest.raises(StudyError, match="no migration leads from schema 1"):
        migrations.migrate(connection, tmp_path / "study.db", 2, {})
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 1
    connection.close()
    Study.open(tmp_path).close()


def test_a_migration_killed_half_way_can_be_run_again(tmp_path):
    old_database(tmp_path)
    code = """
import os, signal, sys
from pathlib import Path
from annotation.store import migrations, opening
path = Path(sys.argv[1])
def die(connection):
    connection.execute("CREATE TABLE later (x)")
    connection.executemany("INSERT INTO later VALUES (?)", [("x" * 2000,)] * 3000)   # beyond the page cache
    os.kill(os.getpid(), signal.SIGKILL)
migrations.migrate(opening._connect(path), path, 2, {1: die})
"""
    assert start(code, tmp_path / "study.db").wait() == -signal.SIGKILL
    Study.open(tmp_path).close()
    connection = opening._connect(tmp_path / "study.db")
    copy = migrations.migrate(connection, tmp_path / "study.db", 2, {1: lambda c: c.execute("CREATE TABLE later (x)")})
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 2
    assert connection.execute("SELECT count(*) FROM later").fetchone()[0] == 0
    connection.close()
    opening.check_file(copy)
