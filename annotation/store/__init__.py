"""One SQLite file a study: an append-only event log and the tables that follow from it."""

from .store import Event, Store, Write

__all__ = ["Event", "Store", "Write"]
