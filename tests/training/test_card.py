"""The model card's numbers come from records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_zoo.depth_anything_v2.training.card import END, START, fill, main


def test_card_is_filled_from_summaries(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "m" / "pairs@1"
    folder.mkdir(parents=True)
    summary = {
        "model": {"name": "m"},
        "protocol": {"id": "pairs@1"},
        "counts": {"expected": 60, "ok": 59},
        "metrics": {
            "accuracy": {"value": 0.7254, "ci95": [0.65, 0.8]},
            "abs_rel": {"value": None},
            "rmse": {"value": 1.0},
        },
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    card = tmp_path / "CARD.md"
    card.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    main([str(tmp_path / "runs"), "--card", str(card)])
    text = card.read_text()
    assert "| m |  | pairs@1 | 59/60 | accuracy 0.725 [0.650, 0.800], abs_rel - |" in text
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text


def test_nothing_to_fill_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="the card needs one"):
        fill("no markers", "x")
    with pytest.raises(SystemExit, match=r"no summary\.json"):
        main([str(tmp_path), "--card", str(tmp_path / "CARD.md")])
