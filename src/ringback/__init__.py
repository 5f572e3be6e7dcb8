"""Ringback: SIP in Python. The names below are what applications use; each is loaded when it is first touched."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.errors import (
        CallEnded,
        CallRejected,
        LocalProtocolError,
        ProtocolError,
        RemoteProtocolError,
        SettingsError,
        SipError,
        StoreError,
        TransactionTimeout,
        TransportError,
    )
    from ringback.protocol.cores.calls import EndReason
    from ringback.protocol.message.model import Request, Response
    from ringback.transport.tls import TlsConfiguration
    from ringback.ua.call import Call
    from ringback.ua.incoming import IncomingRequest
    from ringback.ua.user_agent import UserAgent

__all__ = [
    "Call",
    "CallEnded",
    "CallRejected",
    "EndReason",
    "IncomingRequest",
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "Request",
    "Response",
    "SettingsError",
    "SipError",
    "StoreError",
    "TlsConfiguration",
    "TransactionTimeout",
    "TransportError",
    "UserAgent",
]

_HOMES = {
    "Call": "ringback.ua.call",
    "EndReason": "ringback.protocol.cores.calls",
    "IncomingRequest": "ringback.ua.incoming",
    "Request": "ringback.protocol.message.model",
    "Response": "ringback.protocol.message.model",
    "TlsConfiguration": "ringback.transport.tls",
    "UserAgent": "ringback.ua.user_agent",
}


# What is logged is for an application that has set logging up; one that has not hears nothing of it.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'ringback' has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "ringback.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
