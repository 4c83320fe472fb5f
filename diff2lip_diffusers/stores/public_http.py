"""Sessions of HTTP that connect to public addresses only.

A list of pairs may come from anybody, and a server may send its readers elsewhere. So the address is checked where
the connection is made: after names are resolved, for each redirect, and for numbers in the URL.
"""

import ipaddress
import socket
from typing import Any


class PrivateAddressError(Exception):
    """An address that the web must not lead to: this machine, its network, or the services of a cloud."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        # Addresses of version 4 in the clothes of version 6.
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is not None:
            return inner.is_global and not inner.is_multicast
        if found in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast


def checked_socket(address: tuple) -> socket.socket:
    """A socket for an address that `getaddrinfo` gave.

    Raises:
        PrivateAddressError: the address is not public.
    """
    family, kind, protocol, _, where = address
    if not is_public(where[0]):
        raise PrivateAddressError(where[0])
    return socket.socket(family=family, type=kind, proto=protocol)


async def session_of_public_hosts(loop: Any = None, **options: Any) -> Any:
    """A session of aiohttp that connects to public addresses only, never through a proxy."""
    import aiohttp

    connector = aiohttp.TCPConnector(loop=loop, socket_factory=checked_socket)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
    return aiohttp.ClientSession(loop=loop, connector=connector, timeout=timeout, trust_env=False, **options)
