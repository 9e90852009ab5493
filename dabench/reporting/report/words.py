"""Names and numbers of metrics as the field prints them, and which way is better."""

from __future__ import annotations

import math

TITLES = {
    "accuracy": "Pair accuracy", "whdr": "WHDR", "abs_rel": "AbsRel", "sq_rel": "SqRel", "rmse": "RMSE (m)",
    "rmse_log": "RMSE log", "log10": "log10", "silog": "SILog", "delta1": "δ1", "delta2": "δ2", "delta3": "δ3",
    "irmse": "iRMSE (1/m)", "mae": "MAE (m)", "bad_pixel": "Bad pixels (%)", "sq_rel_squared": "SqRel (over g²)",
    "silog_half": "SILog (half)", "silog_bessel": "SILog (n - 1)", "rmse_log10": "RMSE log10",
    "boundary_f1_depth_pro": "Boundary F1 (Depth Pro)", "boundary_f1_moge": "Boundary F1 (MoGe)",
}  # fmt: skip
SHARES = ("accuracy", "whdr", "accuracy_weighted")
BETTER_HIGH = ("accuracy", "delta1", "delta2", "delta3", "boundary_recall")


def title(metric: str) -> str:
    return TITLES.get(metric, metric)


def higher_is_better(metric: str) -> bool:
    return metric in BETTER_HIGH or metric.startswith("boundary_f1")


def arrow(metric: str) -> str:
    return "↑" if higher_is_better(metric) else "↓"


def number(metric: str, value: float | None, *, signed: bool = False) -> str:
    """A value of a metric: shares of pairs in percent, the others with four significant places."""
    if value is None or not math.isfinite(value):
        return "–"
    sign = "+" if signed else ""
    if metric in SHARES:
        unit = " points" if signed else " %"
        return f"{100 * value:{sign}.1f}{unit}"
    return f"{value:{sign}.4f}" if abs(value) < 10 else f"{value:{sign}.2f}"


def interval(metric: str, bounds: tuple[float | None, float | None], *, signed: bool = False) -> str:
    """``[low, high]``, or nothing where it cannot be said."""
    low, high = bounds
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    plain = [number(metric, v, signed=signed).removesuffix(" %").removesuffix(" points") for v in (low, high)]
    return f"[{plain[0]}, {plain[1]}]"
