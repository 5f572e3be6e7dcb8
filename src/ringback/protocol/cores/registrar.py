"""The registrar (RFC 3261 §10.3): what a REGISTER does to the bindings of an address-of-record, and its answer.

Pure functions. The shell (the server's register step) goes through the section's steps in their order:

1. the Request-URI is a domain of ours, else the request is proxied;
2. ``address_of_record(request)`` names the AOR: 400 when To is no SIP URI;
3. authentication, then ``check_owner``: 403 when the user may not change this AOR;
4. ``store.begin()``, ``store.bindings(aor, now)``, ``process(...)``: the answer and the changes, all or none;
5. ``store.apply(aor, outcome.changes)``, and after the commit ``outcome.response(request, to_tag)``.

Statuses that the RFC leaves to us: 403 for more contacts than the policy allows and for a contact that points into the
network of the server itself, 400 for a contact that is too long to be listed in a datagram. Never a 6xx.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv6Address
from typing import final

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import ascii_lower, escape_user, is_ipv4, parse_uint, quote, unquote
from ringback.protocol.message.build import build_response
from ringback.protocol.message.kept import Kept
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parameters import format_params
from ringback.protocol.message.uri import Uri
from ringback.protocol.message.values import NameAddr
from ringback.protocol.registration.binding import Binding, Change, ChangeKind, changed, flow_text
from ringback.protocol.routing.flow import Flow

MAX_CONTACT = 1024  # characters of a contact's URI and parameters: a 200 must list them all in one datagram
MAX_PATH = 2048  # characters of all Path values of a REGISTER
MAX_USER_AGENT = 128  # characters of User-Agent that are kept
_BRIEF = 3600  # seconds from which an interval is never too brief (§10.3 step 7)
_STEP_7 = "RFC 3261 §10.3 step 7"
_OWN_LIMIT = "limit of this registrar"

Headers = list[tuple[str, str]]


def reaches_outward(uri: Uri, flow: Flow | None) -> bool:
    """Whether requests may be sent to this contact: not to addresses that mean something else on our side.

    Loopback, link-local (where clouds keep their metadata), unspecified, multicast and broadcast addresses are refused,
    unless the REGISTER itself came from a loopback or link-local address of that kind. A host that is all digits and
    dots without being an address is refused too: resolvers read it as one. What ``maddr`` says is looked at as well,
    since that is where a request for the contact would go (RFC 3263 §4).
    """
    if not uri.is_sip:
        return True
    maddr = uri.params.get("maddr")
    kinds = [_kinds[uri.ip]] if not maddr else [_kinds[uri.ip], _kinds[maddr.strip("[]")]]
    if not any(kinds):
        return True
    ours = "" if flow is None else _kinds[flow.remote[0]]
    return ours in ("loopback", "link-local") and all(kind in ("", ours) for kind in kinds)


def _address_kind(host: str) -> str:
    """What a host is when it is not one of the world's: "loopback", "link-local" or "other"; "" for all the rest."""
    if ":" in host:
        return _address_kind_6(host)
    if not host or host[-1] > "9" or not is_ipv4(host):
        name = ascii_lower(host).rstrip(".")
        if name == "localhost" or name.endswith(".localhost"):
            return "loopback"
        last = name.rpartition(".")[2]
        return "other" if last.isdigit() or last.startswith("0x") else ""
    if host[0] == "0" or (".0" in host and any(len(part) > 1 and part[0] == "0" for part in host.split("."))):
        return "other"  # this host, or octal for one reader and decimal for the next
    if host.startswith("127."):
        return "loopback"
    if host.startswith("169.254."):
        return "link-local"
    return "other" if int(host.partition(".")[0]) >= 224 else ""


def _address_kind_6(host: str) -> str:
    try:
        address = IPv6Address(host)
    except ValueError:
        return "other"  # an IPv4 part with leading zeros, octal for one reader and decimal for the next
    if address.ipv4_mapped is not None:
        return _address_kind(str(address.ipv4_mapped))
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    return "other" if address.is_multicast or address.is_unspecified else ""


_kinds: Kept[str] = Kept(_address_kind, 4096)  # the same phones register over and over


@final
class Policy:
    """What the operator decides about registrations.

    ``default_expires``, ``minimum_expires``, ``maximum_expires`` seconds: what a contact that asks for nothing gets,
    below what 423 is answered, above what the interval is cut. ``maximum_contacts`` bindings an AOR may have;
    ``maximum_listed`` contacts one REGISTER may name. ``extensions`` the option tags that Require may name.
    ``path_unasked`` accepts a Path though the client did not say that it supports it (RFC 3327 §5.3). ``allows``
    judges each contact that is to be added, and the first Path value, with the flow that the REGISTER came on.
    """

    __slots__ = (
        "allows",
        "default_expires",
        "extensions",
        "maximum_contacts",
        "maximum_expires",
        "maximum_listed",
        "minimum_expires",
        "path_unasked",
    )

    def __init__(
        self,
        *,
        default_expires: int = 3600,
        minimum_expires: int = 60,
        maximum_expires: int = 7200,
        maximum_contacts: int = 10,
        maximum_listed: int = 20,
        extensions: Collection[str] = ("path",),
        path_unasked: bool = False,
        allows: Callable[[Uri, Flow | None], bool] = reaches_outward,
    ) -> None:
        self.default_expires = default_expires
        self.minimum_expires = minimum_expires
        self.maximum_expires = maximum_expires
        self.maximum_contacts = maximum_contacts
        self.maximum_listed = maximum_listed
        self.extensions = frozenset(extensions)
        self.path_unasked = path_unasked
        self.allows = allows


@final
class Outcome:
    """What came of a REGISTER: the answer's ``status`` and ``headers``, the ``changes`` to apply (none unless 200), and
    ``bindings``, those that are current afterwards."""

    __slots__ = ("bindings", "changes", "headers", "status")

    def __init__(
        self, status: int, headers: Headers, changes: list[Change] | None = None, bindings: list[Binding] | None = None
    ) -> None:
        self.status = status
        self.headers = headers
        self.changes = changes or []
        self.bindings = bindings or []

    def response(self, request: Request, to_tag: str) -> Response:
        """The response to send, after the changes have been committed."""
        return build_response(request, self.status, to_tag=to_tag, headers=self.headers)

    def __repr__(self) -> str:
        return f"Outcome({self.status}, {self.changes!r})"


class _RefusalError(Exception):
    """How a nested check ends the work."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def refusal(status: int, text: str, clause: str, headers: Headers | None = None) -> Outcome:
    """An answer other than 200, with a Warning that tells a person why."""
    return Outcome(status, [*(headers or []), ("warning", f"399 ringback {quote(f'{text} ({clause})')}")])


def address_of_record(request: Request) -> str:
    """The canonical AOR that a REGISTER is about (§10.3 step 5).

    Raises RemoteProtocolError (400) when To is no SIP URI with a user.
    """
    uri = request.to.uri
    if not uri.is_sip or uri.user is None:
        raise RemoteProtocolError(
            "To is not a SIP address-of-record", header="To", clause="RFC 3261 §10.3 step 5", message=request
        )
    return uri.aor


def check_owner(aor: str, username: str, domain: str) -> Outcome | None:
    """None when ``aor`` is the user's own (sip or sips), else the 403 of §10.3 step 4: who registers for another needs
    a right that we do not give.

    ``username`` as it was authenticated, unescaped; ``domain`` of its address-of-record.
    """
    if aor.partition(":")[2] == f"{escape_user(username)}@{ascii_lower(domain)}":
        return None
    return refusal(403, "the user may not change this address-of-record", "RFC 3261 §10.3 step 4")


def process(
    request: Request,
    bindings: list[Binding],
    policy: Policy,
    now: float,
    flow: Flow | None = None,
    known: bool = True,
    aor: str | None = None,
) -> Outcome:
    """Judge a REGISTER for an AOR of ours, given its ``bindings``; ``known`` False: the AOR is nobody's (404).

    ``aor`` is the AOR where the shell knows better than To, because one domain is another name of the next.
    ``now`` epoch seconds; ``flow`` the way the request came, kept with its bindings. Never raises for what the peer
    wrote: that becomes a 4xx.
    """
    try:
        return _process(request, bindings, policy, now, flow, known, aor)
    except _RefusalError as refused:
        return refused.outcome
    except RemoteProtocolError as error:
        return refusal(error.status, error.text, error.clause or "RFC 3261 §10.3")


def _process(
    request: Request,
    bindings: list[Binding],
    policy: Policy,
    now: float,
    flow: Flow | None,
    known: bool,
    aor: str | None,
) -> Outcome:
    lacking = [tag for tag in request.require if tag not in policy.extensions]
    if lacking:
        return refusal(420, "an extension is not supported", "RFC 3261 §8.2.2.3", [("unsupported", ", ".join(lacking))])
    aor = aor or address_of_record(request)
    if not known:
        return refusal(404, "there is no such address-of-record here", "RFC 3261 §10.3 step 5")
    current = [binding for binding in bindings if binding.expires_at > now]
    changes: list[Change] = []
    headers: Headers = []
    if request.contact_is_star:
        changes = _remove_all(request, current)
    elif request.contacts:
        changes = _change(request, aor, current, policy, now, flow)
        headers = [("path", value) for value in request.get_all("path")]
    after = changed(current, changes) if changes else current
    if len(after) > policy.maximum_contacts and len(after) > len(current):
        return refusal(403, f"at most {policy.maximum_contacts} contacts", _OWN_LIMIT)
    headers += [("contact", binding.contact(now)) for binding in after]
    headers.append(("date", http_date(int(now))))
    return Outcome(200, headers, changes, after)


def _remove_all(request: Request, current: list[Binding]) -> list[Change]:
    """``Contact: *`` (§10.2.2, §10.3 step 6)."""
    if request.get("expires") is None or request.expires != 0:
        raise RemoteProtocolError("Contact: * goes with Expires: 0", header="Contact", clause="RFC 3261 §10.3 step 6")
    for binding in current:
        _check_order(request, binding)
    return [Change(ChangeKind.REMOVE, binding) for binding in current]


def _change(
    request: Request, aor: str, current: list[Binding], policy: Policy, now: float, flow: Flow | None
) -> list[Change]:
    """The changes that the listed contacts ask for, in their order (§10.3 step 7).

    A contact listed twice counts the last time: the order rule is about earlier requests, not about this one.
    """
    contacts = request.contacts
    if len(contacts) > policy.maximum_listed:
        raise _RefusalError(refusal(403, f"at most {policy.maximum_listed} contacts in a REGISTER", _OWN_LIMIT))
    path = _path(request, policy, flow)
    user_agent = (request.get("user-agent") or "")[:MAX_USER_AGENT]
    received = "" if flow is None else flow_text(flow)
    call_id, cseq = request.call_id, request.cseq.number
    changes: list[Change] = []
    working = current
    for contact in contacts:
        seconds = _interval(contact, request, policy)
        old = _find(contact, working)
        if old is not None and (not changes or any(old is binding for binding in current)):
            _check_order(request, old)
        if seconds == 0:
            if old is not None:
                changes.append(Change(ChangeKind.REMOVE, old))
                working = [binding for binding in working if binding is not old]
            continue
        if not policy.allows(contact.uri, flow):
            raise _RefusalError(refusal(403, "a contact that may not be registered", _OWN_LIMIT))
        q = contact.q
        instance = contact.params.get("+sip.instance")
        reg_id = contact.params.get("reg-id")
        new = Binding(
            aor,
            contact.uri_text,
            _contact_params(contact),
            1.0 if q is None else q,
            now + seconds,
            call_id,
            cseq,
            unquote(instance) if instance else None,
            parse_uint(reg_id, 2**31 - 1, "reg-id") if reg_id else None,
            path,
            received,
            user_agent,
            now,
        )
        if old is None:
            changes.append(Change(ChangeKind.ADD, new))
            working = [*working, new]
        else:
            changes.append(Change(ChangeKind.UPDATE, new, old))
            working = [new if binding is old else binding for binding in working]
    return changes


def _interval(contact: NameAddr, request: Request, policy: Policy) -> int:
    """Seconds that the contact gets: 0 to remove it. 423 when it asks for too few (§10.3 step 7)."""
    asked = contact.expires
    if asked is None:
        asked = request.expires
        if asked is None:
            asked = policy.default_expires
    if 0 < asked < policy.minimum_expires and asked < _BRIEF:
        least = str(policy.minimum_expires)
        raise _RefusalError(refusal(423, f"at least {least} seconds", _STEP_7, [("min-expires", least)]))
    return min(asked, policy.maximum_expires)


def _check_order(request: Request, binding: Binding) -> None:
    """A REGISTER that comes late must not undo a later one of the same UA (§10.3 steps 6 and 7)."""
    if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
        raise _RefusalError(refusal(500, f"CSeq is not higher than {binding.cseq}", _STEP_7))


def _find(contact: NameAddr, bindings: list[Binding]) -> Binding | None:
    """The binding with this contact's URI: the one written alike, else the first that is equal (§19.1.4)."""
    uri = contact.uri
    for binding in bindings:
        if binding.uri == contact.uri_text:
            return binding
    for binding in bindings:
        if uri.equals(Uri.parse(binding.uri)):
            return binding
    return None


def _contact_params(contact: NameAddr) -> str:
    """The parameters to keep and list again: all but expires, which is ours to say."""
    params = contact.params
    text = ""
    if params and (len(params) > 1 or "expires" not in params):
        text = format_params({name: value for name, value in params.items() if name != "expires"})
    if len(contact.uri_text) + len(text) > MAX_CONTACT:
        raise RemoteProtocolError(
            f"a contact of more than {MAX_CONTACT} characters", header="Contact", clause=_OWN_LIMIT
        )
    return text


def _path(request: Request, policy: Policy, flow: Flow | None) -> list[str]:
    """The Path to keep with the bindings (RFC 3327 §5.3); 420 when the client does not know of it, 403 when its first
    value, where requests for the bindings go, is no more allowed than a contact there."""
    paths = [str(path) for path in request.paths]
    if not paths:
        return paths
    if not policy.path_unasked and "path" not in request.supported and "path" not in request.require:
        raise _RefusalError(
            refusal(420, "Path, but the client does not support it", "RFC 3327 §5.3", [("unsupported", "path")])
        )
    if sum(map(len, paths)) > MAX_PATH:
        raise RemoteProtocolError(f"Path of more than {MAX_PATH} characters", header="Path", clause=_OWN_LIMIT)
    for path in request.paths:
        if not path.uri.is_sip:
            raise RemoteProtocolError("a Path value is no SIP URI", header="Path", clause="RFC 3327 §4")
    if not policy.allows(request.paths[0].uri, flow):
        raise _RefusalError(refusal(403, "a Path that may not be registered", _OWN_LIMIT))
    return paths


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=2)
def http_date(second: int) -> str:
    """The value of Date (RFC 3261 §20.17) for a second since the epoch: always GMT, always English."""
    at = datetime.fromtimestamp(second, UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} {at:%H:%M:%S} GMT"
