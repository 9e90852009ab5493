"""Reports of a project while it runs: progress, people, agreement, shortcuts, forecast."""

from .dashboard import dashboard

__all__ = ["dashboard"]
