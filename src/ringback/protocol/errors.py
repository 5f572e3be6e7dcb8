"""The base of every error that Ringback raises.

SipError
├── ProtocolError
│   ├── LocalProtocolError      the caller of this library broke a rule
│   └── RemoteProtocolError     the peer broke a rule: status to answer, header, offset, clause
├── TransportError              the network or a connection failed
├── TransactionTimeout          no answer in time (Timer B, F, H); also a TimeoutError
├── CallRejected                a final response other than 2xx; carries the response
├── CallEnded                   the call is over and the verb can no longer be carried out
├── SettingsError               a setting is wrong: its key, what was expected
└── StoreError                  a store is unreachable or refused a write
"""

from __future__ import annotations

from typing import Any


class SipError(Exception):
    """Base of all errors raised by Ringback."""


class ProtocolError(SipError):
    """A rule of SIP was broken."""


class LocalProtocolError(ProtocolError):
    """The caller asked for something the protocol does not allow, such as CR LF in a header value."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something the protocol does not allow.

    ``status`` is the response code that the RFC names for it, ``header`` the header field at fault,
    ``offset`` the position of the fault in the datagram or value, ``clause`` the rule, such as
    ``"RFC 3261 §8.1.1"``. ``message`` is what could be read of the message (a ``Request`` or ``Response``),
    so that an error response can still be built; None where not even that was possible.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int = 400,
        header: str | None = None,
        offset: int | None = None,
        clause: str | None = None,
        message: Any = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.header = header
        self.offset = offset
        self.clause = clause
        self.message = message

    def __str__(self) -> str:
        return self.text if self.clause is None else f"{self.text} ({self.clause})"


class TransportError(SipError):
    """A datagram or connection could not be sent or was lost. ``errno`` is the operating system's, if any."""

    def __init__(self, text: str, *, errno: int | None = None) -> None:
        super().__init__(text)
        self.errno = errno


class TransactionTimeout(SipError, TimeoutError):
    """No final response came in time (RFC 3261 §17.1.1.2 Timer B, §17.1.2.2 Timer F)."""


class CallRejected(SipError):
    """The call was refused by a final response other than 2xx. ``response`` is that response."""

    def __init__(self, response: Any) -> None:
        super().__init__(f"{response.status} {response.reason}")
        self.response = response
        self.status: int = response.status


class CallEnded(SipError):
    """The call is over, so the verb cannot be carried out any more."""


class SettingsError(SipError):
    """A setting is wrong. ``key`` names it, the text says what was expected."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key}: {text}")
        self.key = key


class StoreError(SipError):
    """A store could not be read or written."""
