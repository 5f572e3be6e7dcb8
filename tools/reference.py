"""Write the reference pages that follow from the code: docs/reference/{settings,cli,rfc-map}.md.

    python tools/reference.py [--check]

Keys, types, ranges and defaults of the settings come from the settings themselves, what they mean is told here; a key
without a meaning is an error. Commands and options come from the command line's own definitions. The map comes from
the clauses that the source files name. With ``--check`` nothing is written and the exit code is 1 when a page is out of
date.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import typer
from diagrams import ROOT, write_or_check

from ringback.cli.main import app
from ringback.server.settings import Section, Settings, known_keys

PAGES = ROOT / "docs" / "reference"

# settings

SETTINGS_HEAD = """\
# Settings

Written by `make docs`. Do not edit.

`ringback serve` works without a file. With one, it is TOML. It is looked for in this order: `--config FILE`,
`$RINGBACK_CONFIG`, `./ringback.toml`, `$XDG_CONFIG_HOME/ringback/config.toml` (`~/.config` when unset),
`/etc/ringback/ringback.toml`. The first one found is read, and only that one. A flag beats the file, the file beats the
default. `ringback user` and `ringback location` read the same file.

A key that is not known, or a value out of range, ends the program with exit code 2 and a line that names the key.
Times are in seconds.

```toml
listen = ["udp:192.0.2.1:5060", "udp:[2001:db8::1]:5060"]
domains = ["example.test"]
store = "sqlite:/var/lib/ringback/ringback.db"

[auth]
algorithms = ["SHA-256", "MD5"]

[registrar]
max_contacts = 5

[proxy]
ring_time = 20
```
"""

SECTIONS = {
    "": "Where the server is and for whom it answers.",
    "auth": "Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760).",
    "registrar": "How long bindings live, and how many there may be (RFC 3261 §10.3).",
    "proxy": "Forking and relaying (RFC 3261 §16, RFC 5393).",
    "redirect": "Who is told where a user is instead of being put through (RFC 3261 §8.3): 302 for one contact, 300 "
    "for several. Any of the three keys is enough.",
    "timers": "The base timers of the transactions (RFC 3261 §17.1.1.1). All others are made of these.",
    "tls": "Who we are and whom we trust (RFC 5922). Files are PEM.",
    "connections": "What the connections of others may take of us.",
    "websocket": "SIP over WebSocket, for pages in browsers (RFC 7118). `[connections]` applies to it too.",
}

MEANINGS = {
    "listen": "Addresses to listen on, `udp:host:port`, or `udp:host:port advertise host:port` where others are to "
    "call us by another. IPv6 in brackets. Without a transport udp, without a port "
    "5060 (tls 5061, ws 80, wss 443); port 0 is any free one. The transports are udp, tcp, tls, and for browsers ws "
    "and wss (RFC 7118).",
    "domains": "Domains whose users are served here, without port. When empty: the first address of `listen`.",
    "store": "Where users and bindings are kept: `sqlite:FILE`, or `sqlite::memory:` for as long as the process lives.",
    "open": "No passwords: who registers is believed, and every user name is valid. For a lab.",
    "relay": "Whose requests to hosts that are not ours are relayed: of authenticated users, of nobody, of anyone. "
    "`anyone` makes an open relay.",
    "synchronous": "What an answered REGISTER survives: `normal` a kill of the process, `full` a power cut too.",
    "nameservers": "DNS servers to ask instead of the system's: `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:53`.",
    "server_name": "Value of the Server header in answers of the server's own. Unset: no such header.",
    "auth.realm": "Realm of the challenges. Unset: the domain that the request is for.",
    "auth.algorithms": "Challenges to send, preferred first: some of `SHA-512-256`, `SHA-256`, `MD5` "
    "(RFC 8760 §2.3). Old phones read the first only and know MD5 only.",
    "auth.nonce_lifetime": "Age from which a nonce is answered with a new one and `stale=true`.",
    "auth.secret": "Marks nonces and Record-Route values as ours; at least 16 characters. Unset: one that the store "
    "keeps, made at its first start.",
    "registrar.min_expires": "A shorter wish is answered 423 with Min-Expires (§10.3 step 7).",
    "registrar.default_expires": "Given where the REGISTER asks for no time.",
    "registrar.max_expires": "A longer wish is shortened.",
    "registrar.max_contacts": "Bindings that one address-of-record may have.",
    "proxy.timer_c": "How long a branch of an INVITE may ring before it is cancelled (§16.6 step 11).",
    "proxy.recurse": "Try the contacts of a 3xx here instead of passing the response on (§16.7 step 4).",
    "proxy.record_route": "Stay on the path of the dialogs whose INVITE passes here (§16.6 step 4).",
    "proxy.max_breadth": "Branches that one request may become (RFC 5393 §5.3).",
    "proxy.ring_time": "How long contacts of equal q ring before those of the next lower q are tried. Unset: "
    "`timer_c`.",
    "redirect.everyone": "Redirect for every user of ours. The server is then a redirect server and no proxy.",
    "redirect.domains": "Redirect for the users of these domains.",
    "redirect.users": "Redirect for these users, `user@domain`.",
    "proxy.gateway": "`sip:host:port` of the gateway that dials the numbers of `tel` URIs for those who may be "
    "relayed. Unset: a `tel` URI is answered 416.",
    "timers.t1": "T1, the round trip that is reckoned with. Timers B, F and H are 64 times this.",
    "timers.t2": "T2, the longest interval between repetitions.",
    "timers.t4": "T4, how long a message may be on its way.",
    "tls.certificate": "Our certificate, with those above it as others may lack them. Needed to listen on tls and wss.",
    "tls.key": "Its private key. Unset: in the file of the certificate.",
    "tls.authorities": "Who vouches for others. Unset: whom the system trusts.",
    "tls.client_certificates": "Whether who connects to us must show a certificate; `required` is mutual TLS.",
    "connections.total": "Connections open at once; one more is closed as it comes.",
    "connections.per_address": "Connections open at once from one address.",
    "connections.idle": "Without a message or keep-alive for this long, a connection is closed.",
    "websocket.origins": "Web origins (`https://phone.example`) whose pages may connect. Empty: all. Who is no browser "
    "and sends no Origin may always; passwords are what keeps strangers out.",
    "websocket.ping": "Time between our pings. Who does not answer one within 10 s is let go.",
}


def settings_page() -> str:
    """docs/reference/settings.md; raises ``KeyError`` for a key of which nobody has said what it means."""
    told = {*SECTIONS, *MEANINGS}
    untold = [key for key in known_keys() if key not in told or key.rpartition(".")[0] not in told]
    if untold:
        raise KeyError(f"say in MEANINGS or SECTIONS of tools/reference.py what these settings mean: {untold}")
    groups: dict[str, list[str]] = {name: [] for name in SECTIONS}
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.type, type) and issubclass(field.type, Section):
            groups[field.name] += [_setting(inner, field.name) for inner in msgspec.structs.fields(field.type)]
        else:
            groups[""].append(_setting(field, ""))
    lines = [SETTINGS_HEAD]
    for name, rows in groups.items():
        if not rows:
            continue
        lines += [f"## {f'`[{name}]`' if name else 'Top level'}", "", SECTIONS[name], ""]
        lines += ["| key | value | default | meaning |", "|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _setting(field: msgspec.structs.FieldInfo, section: str) -> str:
    key = f"{section}.{field.name}" if section else field.name
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return f"| `{key}` | {_value(field.type)} | {_toml(default)} | {MEANINGS[key]} |"


def _value(kind: Any) -> str:
    """The values that a key takes, in words."""
    described = msgspec.inspect.type_info(kind)
    parts = described.types if isinstance(described, msgspec.inspect.UnionType) else (described,)
    return ", or ".join(_kind(part) for part in parts if not isinstance(part, msgspec.inspect.NoneType))


def _kind(described: msgspec.inspect.Type) -> str:
    match described:
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.StrType():
            return "text"
        case msgspec.inspect.ListType():
            return f"list of {_kind(described.item_type)}"
        case msgspec.inspect.LiteralType():
            return ", ".join(f"`{value}`" for value in described.values)
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            noun = "whole number" if isinstance(described, msgspec.inspect.IntType) else "number"
            bounds = ((described.gt, "above"), (described.ge, "from"), (described.le, "to"), (described.lt, "below"))
            limits = [f"{word} {limit:g}" for limit, word in bounds if limit is not None and limit < 1e9]
            return " ".join([noun, *limits])
    raise TypeError(described)


def _toml(value: object) -> str:
    """A default as the file would write it."""
    if value is None:
        return "unset"
    return f"`{msgspec.json.encode(value).decode().replace(',', ', ')}`"


# commands

CLI_HEAD = """\
# Command line

Written by `make docs`. Do not edit.

Data goes to standard output, all else to standard error. `--json` gives one JSON document a line.

| exit code | meaning |
|---|---|
| 0 | a final 2xx, or all went well |
| 1 | a final response other than 2xx, or a call that did not go as it should |
| 2 | a mistake in usage or settings, or a local error |
| 3 | no answer, or the network failed |
| 130 | interrupted |

| variable | meaning |
|---|---|
| `RINGBACK_CONFIG` | the settings file, see [settings](settings.md) |
| `RINGBACK_PASSWORD` | the password, for `user add`, `user passwd` and `options --user`; asked for when unset |
| `NO_COLOR` | no colour, when it is not empty |
"""

HIDDEN = ("help", "install_completion", "show_completion")


def cli_page() -> str:
    """docs/reference/cli.md."""
    lines = [CLI_HEAD]
    for path, command in _commands(typer.main.get_command(app), "ringback"):
        lines += _command(path, command)
    return "\n".join(lines)


def _commands(command: Any, path: str) -> Iterable[tuple[str, Any]]:
    """The commands that do something, each with the words that call it."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, child in inner.items():
        if not child.hidden:
            yield from _commands(child, f"{path} {name}")


def _command(path: str, command: Any) -> list[str]:
    params = [param for param in command.params if param.name not in HIDDEN]
    arguments = [param for param in params if param.param_type_name == "argument"]
    options = [param for param in params if param.param_type_name == "option"]
    names = [param.name.upper() if param.required else f"[{param.name.upper()}]" for param in arguments]
    usage = " ".join([path, "[OPTION]...", *names] if options else [path, *names])
    lines = [f"## {path}", "", *_paragraphs(command.help or ""), "```", usage, "```", ""]
    if params:
        lines += ["| | default | |", "|---|---|---|"]
        lines += [f"| `{param.name.upper()}` | | {_cell(param.help)} |" for param in arguments]
        lines += [_option(param) for param in options]
        lines.append("")
    return lines


def _paragraphs(text: str) -> list[str]:
    return [line for part in text.strip().split("\n\n") for line in (" ".join(part.split()), "")]


def _option(param: Any) -> str:
    takes = "" if param.is_flag or param.count else " VALUE"
    spelled = ", ".join(f"`{name}{takes if name.startswith('--') else ''}`" for name in param.opts)
    shown = param.default not in (None, False, 0, [], ()) and not callable(param.default)
    return f"| {spelled} | {f'`{param.default}`' if shown else ''} | {_cell(param.help)} |"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


# where a clause lives

MAP_HEAD = """\
# From the RFC to the file, and back

Written by `make docs` from the clauses that the source files name. Do not edit.

Whoever knows the RFC finds the file here; whoever reads the file finds the clause in it. A clause that a file names
without an RFC is of the one that the head of the file names first, as a rule RFC 3261.
"""

_MENTION = re.compile(
    r"RFC (?P<rfc>[0-9]{3,5})|§(?P<clause>[0-9]+(?:\.[0-9]+)*)|(?P<end>[;.]\s|\n\s*\n)",
    re.ASCII,
)
PROTOCOL_RFC = 3261
OBSOLETE_RFC = 2543  # named as what old peers do, never by section


def mentions(text: str, home: int) -> set[tuple[int, str]]:
    """The clauses that a text names, as (RFC, section); an RFC that is named without a section has section "".

    "RFC 6026 §7.1, §8.4" is two sections of RFC 6026; after a full stop, a semicolon or an empty line a bare section is
    of RFC ``home`` again.
    """
    found: set[tuple[int, str]] = set()
    current = home
    for match in _MENTION.finditer(text):
        if match["clause"]:
            found.add((current, match["clause"]))
        elif match["rfc"] is None:
            current = home
        elif int(match["rfc"]) == OBSOLETE_RFC:
            found.add((OBSOLETE_RFC, ""))
        else:
            current = int(match["rfc"])
            found.add((current, ""))
    return found


def clauses_of(path: Path) -> set[tuple[int, str]]:
    """The clauses that the comments and texts of a source file name, each comment and each text by itself.

    A bare section is of the RFC that the file's head names first. An RFC counts as a whole only where no section of it
    is named.
    """
    found: set[tuple[int, str]] = set()
    source = path.read_text(encoding="utf-8")
    first = re.search(r"RFC ([0-9]{3,5})", ast.get_docstring(ast.parse(source)) or "")
    home = int(first.group(1)) if first else PROTOCOL_RFC
    for comment in re.findall(r"#.*(?:\n[ \t]*#.*)*", source):
        found |= mentions(re.sub(r"\s*#\s*", " ", comment), home)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= mentions(node.value, home)
    detailed = {rfc for rfc, section in found if section}
    return {(rfc, section) for rfc, section in found if section or rfc not in detailed}


def map_page() -> str:
    """docs/reference/rfc-map.md."""
    base = ROOT / "src" / "ringback"
    files = {path.relative_to(base).as_posix(): path for path in sorted(base.rglob("*.py"))}
    by_clause: dict[tuple[int, str], list[str]] = {}
    by_file = []
    for name, path in files.items():
        summary = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
        found = clauses_of(path)
        if not found:
            continue
        for clause in found:
            by_clause.setdefault(clause, []).append(name)
        by_file.append(f"| {_link(name)} | {_cell(' '.join(summary.split()))} | {_sections(found)} |")
    lines = [MAP_HEAD, "## By clause", ""]
    for rfc in sorted({rfc for rfc, _ in by_clause}, key=lambda number: (number != PROTOCOL_RFC, number)):
        lines += [f"### RFC {rfc}", "", "| section | files |", "|---|---|"]
        for section in sorted((section for number, section in by_clause if number == rfc), key=_order):
            named = ", ".join(_link(name) for name in by_clause[rfc, section])
            lines.append(f"| {f'§{section}' if section else 'as a whole'} | {named} |")
        lines.append("")
    lines += ["## By file", "", "| file | what it is | clauses |", "|---|---|---|", *by_file, ""]
    return "\n".join(lines)


def _link(name: str) -> str:
    return f"[{name}](../../src/ringback/{name})"


def _order(section: str) -> list[int]:
    return [int(number) for number in section.split(".") if number]


def _sections(found: set[tuple[int, str]]) -> str:
    """Clauses as a reader writes them: "RFC 3261 §9.1, §16.7; RFC 6026"."""
    parts = []
    for rfc in sorted({rfc for rfc, _ in found}, key=lambda number: (number != PROTOCOL_RFC, number)):
        sections = sorted((section for number, section in found if number == rfc and section), key=_order)
        parts.append(" ".join([f"RFC {rfc}", ", ".join(f"§{section}" for section in sections)]).strip())
    return "; ".join(parts)


def pages() -> dict[Path, str]:
    """Every page and what it should say."""
    return {
        PAGES / "settings.md": settings_page(),
        PAGES / "cli.md": cli_page(),
        PAGES / "rfc-map.md": map_page(),
    }


if __name__ == "__main__":
    sys.exit(write_or_check(pages(), "--check" in sys.argv[1:]))
