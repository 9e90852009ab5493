"""How much one client may ask for: token buckets, and the sizes and counts that the server allows."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of the server.

    A browser that was offline sends its kept answers at once, so the burst of writes is large; failed sign-ins are
    counted per address and over all addresses.
    """

    body_bytes: int = 64 * 1024
    body_seconds: float = 15.0
    requests_at_once: int = 256
    writes_per_second: float = 20.0
    writes_burst: int = 400
    failed_logins_per_minute: float = 6.0
    failed_logins_burst: int = 10
    all_failed_logins_per_minute: float = 60.0
    all_failed_logins_burst: int = 100


class Buckets:
    """Token buckets by key. Keys that were not seen for longest are forgotten when there are too many.

    Args:
        per_second: tokens that come back each second.
        burst: tokens of a full bucket.
        clock: seconds, never backwards.
    """

    def __init__(
        self, per_second: float, burst: int, *, keys: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_second, self.burst, self.keys, self.clock = per_second, burst, keys, clock
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def _level(self, key: str) -> float:
        level, at = self._filled.get(key, (float(self.burst), self.clock()))
        return min(float(self.burst), level + (self.clock() - at) * self.per_second)

    def take(self, key: str) -> float:
        """Take one token: 0.0, or the seconds until there is one (nothing is taken then)."""
        with self._lock:
            level = self._level(key)
            if level < 1:
                return (1 - level) / self.per_second
            self._filled[key] = (level - 1, self.clock())
            self._filled.move_to_end(key)
            while len(self._filled) > self.keys:
                self._filled.popitem(last=False)
            return 0.0

    def wait(self, key: str) -> float:
        """Seconds until ``take`` would succeed, without taking."""
        with self._lock:
            return max(0.0, (1 - self._level(key)) / self.per_second)
