"""No acknowledged answer is lost: killed processes, full disks, locks, damage, clocks, and the way back."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from annotation_studies import Clock, answer_to, make_study, person, right_answer

from annotation import queue
from annotation.errors import StudyError, StudyFullError, StudyLockedError
from annotation.queue import Answer
from annotation.store import Store, backup, lock, opening, replay, store
from annotation.study import Study
from dabench.errors import UsageError

WORKER = """
import sys, uuid
from pathlib import Path
from annotation import queue
from annotation.study import Study
study = Study.open(Path(sys.argv[1]))
ann = study.store.one("SELECT id FROM people WHERE alias = 'ann'")["id"]
while True:
    for task in queue.next_tasks(study, 1, ann, 4).tasks:
        number = str(uuid.uuid4())
        answer = queue.Answer(uuid=number, assignment=task.assignment, relation="closer", shown="first")
        print(number, task.assignment, flush=True)           # about to be sent
        queue.give_answer(study, ann, answer)
        print("saved", number, flush=True)                   # acknowledged
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_killed_at_random_points_no_acknowledged_answer_is_lost(tmp_path):
    path = tmp_path / "study"
    make_study(path, images=2, pairs_per_image=200, people={"ann": "annotator"}).close()
    draw, acknowledged, sent = random.Random(8), set(), set()
    for _ in range(8):
        process = start(WORKER, path)
        lines, wanted = [], draw.randint(5, 60)
        for line in process.stdout:
            lines.append(line.split())
            if len(lines) == wanted:
                time.sleep(draw.random() * 0.01)
                process.send_signal(signal.SIGKILL)
        process.wait()
        with Study.open(path) as study:
            stored = {row["uuid"] for row in study.store.query("SELECT uuid FROM responses")}
            for first, second in (words for words in lines if len(words) == 2):
                if first == "saved":
                    acknowledged.add(second)
                elif len(first) == 36 and second.isdigit():  # a client sends again what was not acknowledged
                    sent.add(first)
                    again = Answer(uuid=first, assignment=int(second), relation="closer", shown="first")
                    receipt = queue.give_answer(study, person(study, "ann"), again)
                    assert receipt.status == ("duplicate" if first in stored else "saved")
            assert acknowledged <= stored
    assert len(acknowledged) > 50
    with Study.open(path) as study:
        kept = [row["uuid"] for row in study.store.query("SELECT uuid FROM responses WHERE NOT surplus")]
        assert sorted(kept) == sorted(sent)
        assert replay.verify(study).same


def test_killed_between_commit_and_reply_the_retry_is_one_row(tmp_path):
    path = tmp_path / "study"
    with make_study(path) as study:
        ann = person(study, "ann")
        (task,) = queue.next_tasks(study, 1, ann, 1).tasks
    answer = Answer(uuid=str(uuid.uuid4()), assignment=task.assignment, relation="closer", shown="first")
    code = f"""
import os, signal, sys
from pathlib import Path
from annotation.queue import Answer, give_answer
from annotation.study import Study
give_answer(Study.open(Path(sys.argv[1])), {ann}, {answer!r})
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert start(code, path).wait() == -signal.SIGKILL
    with Study.open(path) as study:
        before = study.store.one("SELECT count(*) n FROM responses")["n"]
        assert (before, queue.give_answer(study, ann, answer).status) == (1, "duplicate")
        assert study.store.one("SELECT count(*) n FROM responses")["n"] == 1


def test_copies_taken_at_any_moment_hold_all_that_was_acknowledged(tmp_path):
    """The model of a power cut: the database and its log as they are on the disk, copied between two commits."""
    with make_study(tmp_path / "study", durable=True) as study:
        ann = person(study, "ann")
        for number in range(10):
            for task in queue.next_tasks(study, 1, ann, 1).tasks:
                queue.give_answer(study, ann, answer_to(task, "first"))
            copy = tmp_path / f"copy{number}"
            copy.mkdir()
            for name in ("study.db", "study.db-wal"):
                (copy / name).write_bytes((study.path / name).read_bytes())
            with Study.open(copy) as found:
                assert replay.digest(found.store) == replay.digest(study.store)


def test_without_the_write_ahead_log_an_older_state_is_left_whole(tmp_path):
    path = tmp_path / "study"
    with make_study(path, durable=True) as study:
        study.store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        older = study.store.one("SELECT max(seq) n FROM events")["n"]
        for task in queue.next_tasks(study, 1, person(study, "ann"), 4).tasks:
            queue.give_answer(study, person(study, "ann"), answer_to(task, "first"))
        copy = tmp_path / "copy"
        copy.mkdir()
        (copy / "study.db").write_bytes((path / "study.db").read_bytes())
    with Study.open(copy) as found:
        assert found.store.one("SELECT max(seq) n FROM events")["n"] == older
        assert replay.verify(found).same


def test_the_main_file_is_never_far_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with make_study(tmp_path / "study", durable=True) as study:
        (task,) = queue.next_tasks(study, 1, person(study, "ann"), 1).tasks
        receipt = queue.give_answer(study, person(study, "ann"), answer_to(task, "first"))
        copy = tmp_path / "copy"
        copy.mkdir()
        (copy / "study.db").write_bytes((study.path / "study.db").read_bytes())
        with Study.open(copy) as found:
            assert found.store.one("SELECT uuid FROM responses")["uuid"] == receipt.uuid


def test_a_full_disk_refuses_and_later_succeeds(new_study):
    study = new_study()
    ann = person(study, "ann")
    task, other = queue.next_tasks(study, 1, ann, 2).tasks
    queue.give_answer(study, ann, answer_to(task, "first"))
    answer = answer_to(other, "first", client={"note": "x" * 3500})
    writer = study.store._writer
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    before = replay.digest(study.store)
    with pytest.raises(StudyFullError, match="cannot be written"):
        for _ in range(20):
            queue.give_answer(study, ann, answer)
            (other,) = queue.next_tasks(study, 1, ann, 1).tasks
            before, answer = replay.digest(study.store), answer_to(other, "first", client={"note": "x" * 3500})
    assert replay.digest(study.store) == before, "what was refused left no trace"
    assert len(queue.history(study, 1, ann)) >= 1, "reading still works"
    writer.execute("PRAGMA max_page_count = 1000000")
    assert queue.give_answer(study, ann, answer).status == "saved"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
def test_a_full_file_system_of_one_megabyte(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with make_study(disk / "study", images=1, durable=True) as study:
            ann, saved = person(study, "ann"), 0
            fill = disk / "other"
            fill.write_bytes(b"x" * 100_000)
            with pytest.raises(StudyFullError):
                for _ in range(2000):
                    with study.store.write("olga") as write:
                        write.append("study.set", {"note": "x" * 3000})
                    saved += 1
            assert saved > 5
            fill.unlink()
            with study.store.write("olga") as write:
                write.append("study.set", {"note": "there is space again"})
            assert study.setting("note") == "there is space again"
            assert queue.next_tasks(study, 1, ann, 1).tasks
            assert replay.verify(study).same
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_another_process_that_writes_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.2)
    with make_study(tmp_path / "study") as study:
        other = sqlite3.connect(study.path / "study.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StudyLockedError, match="another process"):
            queue.next_tasks(study, 1, person(study, "ann"))
        assert study.store.one("SELECT count(*) n FROM pairs")["n"] == 12, "reading goes on"
        other.execute("ROLLBACK")
        assert queue.next_tasks(study, 1, person(study, "ann")).tasks
        other.close()


def test_one_server_a_study(tmp_path):
    code = """
import sys, time
from pathlib import Path
from annotation.store import lock
with lock.serving(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
    process = start(code, tmp_path)
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StudyLockedError, match=f"by process {process.pid}"), lock.serving(tmp_path):
            pass
    finally:
        process.kill()
        process.wait()
    with lock.serving(tmp_path), pytest.raises(StudyLockedError, match=str(os.getpid())), lock.serving(tmp_path):
        pass
    with pytest.raises(StudyError, match="does not exist"), lock.serving(tmp_path / "none"):
        pass


def test_network_file_systems_are_refused(tmp_path):
    mounts = tmp_path / "mounts"
    shared = tmp_path / "shared folder"
    shared.mkdir()
    escaped = str(shared).replace(" ", "\\040")
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {escaped} nfs4 rw 0 0\n//pc/y {tmp_path}/win cifs rw 0 0\n")
    assert lock.file_system(shared / "study", mounts) == "nfs4"
    assert lock.file_system(tmp_path / "win", mounts) == "cifs"
    assert lock.file_system(tmp_path / "windows", mounts) == "ext4"
    assert lock.file_system(tmp_path, tmp_path / "no list") == ""
    with pytest.raises(StudyError, match=r"network file system \(nfs4\)"):
        lock.refuse_network(shared, mounts)
    lock.refuse_network(tmp_path, mounts)
    lock.refuse_network(tmp_path)


def test_a_damaged_page_is_refused_and_the_backup_restores(tmp_path):
    path = tmp_path / "study"
    with make_study(path, images=4, pairs_per_image=30) as study:
        copy = backup.make(study)
        digest = replay.digest(study.store)
    file = path / "study.db"
    content = bytearray(file.read_bytes())
    for page in range(4, len(content) // 4096, 3):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    file.write_bytes(content)
    with pytest.raises(StudyError, match="damaged") as caught:
        Study.open(path)
    assert "backup --restore" in caught.value.hint
    with pytest.raises(StudyError, match="not overwritten"):
        backup.restore(copy, path)
    for rest in path.glob("study.db*"):
        rest.rename(tmp_path / f"damaged {rest.name}")
    backup.restore(copy, path)
    with Study.open(path) as study:
        assert replay.digest(study.store) == digest
        assert queue.next_tasks(study, 1, person(study, "ann")).tasks


def test_files_that_are_no_study(tmp_path):
    with pytest.raises(StudyError, match="does not exist"):
        Study.open(tmp_path / "none")
    for name, content in (("text", b"hello " * 2000), ("empty", b"")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "study.db").write_bytes(content)
        with pytest.raises(StudyError):
            Study.open(folder)
        assert (folder / "study.db").read_bytes() == content
    other = tmp_path / "other"
    other.mkdir()
    connection = sqlite3.connect(other / "study.db")
    connection.execute("CREATE TABLE x (y)")
    connection.close()
    with pytest.raises(StudyError, match="not the database of a study"):
        Study.open(other)
    with pytest.raises(StudyError, match="does not exist"):
        backup.restore(tmp_path / "none.db", tmp_path / "new")
    with pytest.raises(StudyError):
        backup.restore(tmp_path / "text" / "study.db", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_backups_rotate_and_leave_other_files_alone(new_study, clock):
    study = new_study(clock=clock)
    made = []
    for number in range(5):
        with study.store.write("olga") as write:
            write.append("study.set", {"number": number})
        clock.forward(-3600 if number == 2 else 60)
        made.append(backup.make(study, keep=3))
        (study.backups / "notes.txt").write_text("mine")
    assert backup.existing(study) == made[2:]
    assert sorted(path.name for path in study.backups.iterdir()) == sorted(["notes.txt", *(p.name for p in made[2:])])
    with pytest.raises(UsageError, match="keep is 0"):
        backup.make(study, keep=0)


def test_a_backup_while_people_write_is_one_moment(tmp_path):
    path = tmp_path / "study"
    make_study(path, images=2, pairs_per_image=100, people={"ann": "annotator"}).close()
    process = start(WORKER, path)
    try:
        process.stdout.readline()
        with Study.open(path) as study:
            copies = [backup.make(study, keep=9) for _ in range(3)]
    finally:
        process.kill()
        process.communicate()
    for number, copy in enumerate(copies):
        backup.restore(copy, tmp_path / f"restored{number}")
        with Study.open(tmp_path / f"restored{number}") as study:
            assert replay.verify(study).same


def test_study_time_never_runs_backwards(tmp_path):
    clock = Clock()
    with Store(tmp_path / "study.db", create=True, clock=clock) as made:
        start_time, times = clock.at, []
        for jump in (0, 50_000, -90_000, 10, -1, 10**7, -(10**9)):
            clock.at += jump
            with made.write("olga") as write:
                times.append(write.append("study.set", {"x": jump}).at)
        assert times == sorted(times)
        assert times[0] == start_time
        time.sleep(0.02)
        assert made.now() > times[-1], "it goes on although the clock is far behind"


def test_events_and_answers_cannot_be_changed(study):
    for task in queue.next_tasks(study, 1, person(study, "ann"), 1).tasks:
        queue.give_answer(study, person(study, "ann"), answer_to(task, right_answer(task)))
    for table in ("events", "responses"):
        for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET rowid = rowid + 1"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"), study.store.write("olga") as write:
                write.connection.execute(sql)
    with pytest.raises(StudyError), study.store.read() as connection, store.translated(study.path):
        connection.execute("DELETE FROM live")
