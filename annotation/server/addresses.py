"""Where the server listens and which host names it answers to."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from dabench.errors import UsageError

PORT = 8765
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True)
class Address:
    """``host``: an IP address. ``names``: what browsers may write for it, without a port; the first is used in links.
    ``loopback``: only this machine can connect.
    """

    host: str
    port: int
    names: tuple[str, ...]
    loopback: bool
    secure: bool

    def hosts(self, port: int) -> list[str]:
        """Values of the Host header for the port that was bound; browsers leave out the usual one."""
        usual = 443 if self.secure else 80
        return [f"{name}:{port}" for name in self.names] + (list(self.names) if port == usual else [])

    def url(self, port: int) -> str:
        return f"{'https' if self.secure else 'http'}://{self.names[0]}:{port}"


def chosen_address(
    host: str = "127.0.0.1",
    port: int = PORT,
    *,
    allowed: Iterable[str] = (),
    allow_network: bool = False,
    secure: bool = False,
) -> Address:
    """The address to serve at.

    Args:
        host: an IP address of this machine, or ``localhost``.
        port: 0: any free one.
        allowed: further names or addresses that browsers use for this machine.
        allow_network: the user said that other machines may connect.

    Raises:
        UsageError: an address beyond loopback without ``allow_network``, no name to answer to, or something malformed.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"port {port} does not exist", hint="ports are 1 to 65535, and 0 for any free one")
    try:
        number = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError:
        raise UsageError(
            f"'{host}' is no IP address",
            hint="--host is the address to listen at, for example 0.0.0.0; names go to --allowed-host",
        ) from None
    extra = [_checked_name(name) for name in allowed]
    if number.is_loopback:
        names = [*extra, _written(number), *(["localhost"] if number.version == 4 else [])]
    else:
        if not allow_network:
            raise UsageError(
                f"{number} can be reached from other machines",
                hint="if that is wanted, add --allow-network; everybody still signs in with a link of their own",
            )
        if number.is_unspecified and not extra:
            raise UsageError(
                f"{number} means every address of this machine, but no name to answer to is given",
                hint="add --allowed-host NAME with the name or address that people will type",
            )
        names = [*extra, *([] if number.is_unspecified else [_written(number)])]
        if number.is_unspecified:
            names += ["127.0.0.1", "localhost"]
    return Address(str(number), port, tuple(dict.fromkeys(names)), number.is_loopback, secure)


def _written(number: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """As it stands in an address bar."""
    return f"[{number}]" if number.version == 6 else str(number)


def _checked_name(name: str) -> str:
    lower = name.strip().lower()
    try:
        return _written(ipaddress.ip_address(lower.strip("[]")))
    except ValueError:
        pass
    if not _NAME.fullmatch(lower):
        raise UsageError(
            f"'{name}' is no host name", hint="--allowed-host takes a name or an address, without http:// and port"
        )
    return lower
