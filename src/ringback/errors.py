"""Every exception that Ringback raises; the tree is drawn in :mod:`ringback.protocol.errors`."""

from ringback.protocol.errors import (
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

__all__ = [
    "CallEnded",
    "CallRejected",
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "SettingsError",
    "SipError",
    "StoreError",
    "TransactionTimeout",
    "TransportError",
]
