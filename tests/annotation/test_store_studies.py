"""The builder of small studies that the other tests stand on."""

from __future__ import annotations

import hashlib

from annotation_studies import truth


def test_a_small_study_is_whole(new_study, clock):
    study = new_study(images=3, pairs_per_image=4, gold=2, qualification=3, clock=clock)
    counts = {r["purpose"]: r["n"] for r in study.store.query("SELECT purpose, count(*) n FROM pairs GROUP BY purpose")}
    assert counts == {"label": 12, "gold": 2, "qualification": 3}
    for row in study.store.query("SELECT * FROM images"):
        assert hashlib.sha256((study.images / row["file"]).read_bytes()).hexdigest() == row["sha256"]
    for row in study.store.query("SELECT * FROM pairs WHERE gold IS NOT NULL"):
        assert row["gold"] == truth((row["a_row"], row["a_col"]), (row["b_row"], row["b_col"]))
    assert study.store.one("SELECT count(*) n FROM votes")["n"] == 17 * 3
    assert study.project("main")[0] == 1
