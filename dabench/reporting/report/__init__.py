"""A run, or two runs side by side, as one self-contained page with figures and pictures. No model is ever run."""

from __future__ import annotations

from dabench.reporting.report.build import Report, build_report

__all__ = ["Report", "build_report"]
