"""Each error carries what its catcher needs to answer, to retry or to tell somebody."""

from __future__ import annotations

from ringback import errors
from ringback.protocol.message.build import build_request, build_response
from ringback.protocol.trace import Observer


def test_every_error_is_caught_as_a_sip_error() -> None:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(found) > 8
    assert all(issubclass(kind, errors.SipError) for kind in found)


def test_a_refused_call_bears_the_response_that_refused_it() -> None:
    request = build_request(
        "INVITE",
        "sip:bob@example.test",
        via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        from_="<sip:alice@example.test>;tag=a",
        to="<sip:bob@example.test>",
        call_id="1",
        cseq=1,
    )
    response = build_response(request, 486, to_tag="b")
    error = errors.CallRejected(response)
    assert error.response is response
    assert error.status == 486
    assert str(error) == "486 Busy Here"


def test_a_wrong_setting_is_named() -> None:
    error = errors.SettingsError("auth.realm", "expected a name")
    assert error.key == "auth.realm"
    assert str(error) == "auth.realm: expected a name"


def test_a_peers_error_names_its_clause() -> None:
    error = errors.RemoteProtocolError("no Via", status=400, header="via", clause="RFC 3261 §20.42")
    assert (error.status, error.header) == (400, "via")
    assert str(error) == "no Via (RFC 3261 §20.42)"


def test_a_time_out_is_also_pythons_own() -> None:
    assert issubclass(errors.TransactionTimeout, TimeoutError)


def test_a_failed_transport_tells_the_systems_number() -> None:
    assert errors.TransportError("refused", errno=111).errno == 111


def test_an_observer_is_anything_that_takes_messages() -> None:
    class Counting:
        seen = 0

        def message(self, direction: str, data: bytes, transport: str, local: str, remote: str, now: float) -> None:
            self.seen += 1

    counting = Counting()
    observer: Observer = counting
    observer.message("in", b"", "UDP", "192.0.2.1:5060", "192.0.2.2:5060", 0.0)
    assert counting.seen == 1
