"""Settings: what is said, where it is sought, and how a mistake is named."""

from pathlib import Path

import pytest

from ringback.errors import SettingsError
from ringback.server.settings import Listen, build, default_domain, find_file, load, parse_listen


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("udp:127.0.0.1:5060", "127.0.0.1", 5060),
        ("UDP:127.0.0.1", "127.0.0.1", 5060),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("udp:[::1]:5070", "::1", 5070),
        ("[2001:db8::1]", "2001:db8::1", 5060),
        ("udp://sip.example.test:5062", "sip.example.test", 5062),
    ],
)
def test_an_address_to_listen_on_is_read(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == Listen("UDP", host, port)
    assert parse_listen(str(parse_listen(text))) == parse_listen(text)


def test_what_others_are_to_call_us_by_is_read() -> None:
    for text, advertised in (
        ("udp:0.0.0.0:5060 advertise 203.0.113.5:5080", ("203.0.113.5", 5080)),
        ("tcp:[::]:5070 advertise [2001:db8::1]", ("2001:db8::1", 5070)),
        ("udp:10.0.0.1 advertise sip.example.test", ("sip.example.test", 5060)),
    ):
        listen = parse_listen(text)
        assert listen.advertised == advertised
        assert parse_listen(str(listen)) == listen


@pytest.mark.parametrize(
    "text",
    [
        "udp:10.0.0.1:5060 advertise ",
        "udp:10.0.0.1:5060 advertise a b",
        "udp:10.0.0.1:5060 advertise udp:203.0.113.5:5060",
        "udp:10.0.0.1:5060 advertise 203.0.113.5:0",
        "udp:10.0.0.1:0 advertise 203.0.113.5",
        "udp:10.0.0.1:5060 advertise 203.0.113.5:65536",
    ],
)
def test_a_wrong_advertised_address_names_the_key(text: str) -> None:
    with pytest.raises(SettingsError, match="advertise"):
        parse_listen(text)


@pytest.mark.parametrize(
    "text", ["", "udp:", "udp:host:x", "udp:host:65536", "sctp:host:5060", "udp:a b:1", "udp:::1:5060"]
)
def test_a_wrong_address_names_the_key(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_listen(text)
    assert caught.value.key == "listen"


@pytest.mark.parametrize(
    ("values", "key", "says"),
    [
        ({"listn": []}, "listn", "did you mean listen?"),
        ({"auth": {"algoritms": []}}, "auth.algoritms", "did you mean auth.algorithms?"),
        ({"listen": "udp:127.0.0.1"}, "listen", "expected array"),
        ({"listen": []}, "listen", "at least one"),
        ({"listen": [5060]}, "listen", "expected str"),
        ({"domains": ["a b"]}, "domains", "host names"),
        ({"store": "postgres:x"}, "store", "sqlite:FILE"),
        ({"open": 1}, "open", "expected bool"),
        ({"relay": "all"}, "relay", "users, nobody, anyone"),
        ({"synchronous": "off"}, "synchronous", "normal, full"),
        ({"server_name": "a\nb"}, "server_name", "printable"),
        ({"auth": {"realm": 'a"b'}}, "auth.realm", "without quotes"),
        ({"auth": {"algorithms": []}}, "auth.algorithms", "at least one"),
        ({"auth": {"algorithms": ["SHA1"]}}, "auth.algorithms", "SHA-256"),
        ({"auth": {"secret": "short"}}, "auth.secret", "16 characters"),
        ({"auth": {"nonce_lifetime": 0}}, "auth.nonce_lifetime", "> 0"),
        ({"registrar": {"min_expires": -1}}, "registrar.min_expires", ">= 0"),
        ({"registrar": {"min_expires": 9999}}, "registrar.min_expires", "at most"),
        ({"registrar": {"default_expires": 30}}, "registrar.default_expires", "from min_expires"),
        ({"registrar": {"max_contacts": 0}}, "registrar.max_contacts", ">= 1"),
        ({"proxy": {"timer_c": 180}}, "proxy.timer_c", "> 180"),
        ({"proxy": {"max_breadth": 61}}, "proxy.max_breadth", "<= 60"),
        ({"timers": {"t1": "fast"}}, "timers.t1", "expected float"),
    ],
)
def test_a_wrong_setting_names_its_key_and_what_was_expected(values: dict[str, object], key: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build(values)
    assert caught.value.key == key
    assert says in str(caught.value)


def test_the_default_domain_is_the_first_or_the_address() -> None:
    assert default_domain(build({"domains": ["Example.test", "b.test"]})) == "example.test"
    assert default_domain(build({"listen": ["udp:192.0.2.1:5070"]})) == "192.0.2.1"
    assert default_domain(build({"listen": ["udp:[::1]"]})) == "[::1]"


def test_all_addresses_of_the_machine_name_no_domain() -> None:
    with pytest.raises(SettingsError, match="domains: expected at least one"):
        default_domain(build({"listen": ["udp:0.0.0.0:5060"]}))


def test_the_file_is_sought_in_the_order_that_users_expect(tmp_path: Path) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    named, other = tmp_path / "named.toml", tmp_path / "other.toml"
    for path in (here / "ringback.toml", home / "ringback" / "config.toml", named, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    environment = {"RINGBACK_CONFIG": str(other), "XDG_CONFIG_HOME": str(home)}
    assert find_file(named, environment, here) == named
    assert find_file(None, environment, here) == other
    del environment["RINGBACK_CONFIG"]
    assert find_file(None, environment, here) == here / "ringback.toml"
    assert find_file(None, environment, tmp_path) == home / "ringback" / "config.toml"


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load(tmp_path / "nothing.toml", environment={})
    with pytest.raises(SettingsError, match="RINGBACK_CONFIG"):
        load(environment={"RINGBACK_CONFIG": str(tmp_path / "nothing.toml")})


def test_a_file_that_is_no_toml_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("listen = \n")
    with pytest.raises(SettingsError, match="line"):
        load(path, environment={})


def test_a_flag_beats_the_file_and_the_file_beats_the_default(tmp_path: Path) -> None:
    path = tmp_path / "ringback.toml"
    path.write_text('listen = ["udp:127.0.0.1:5070"]\ndomains = ["file.test"]\nopen = true\nstore = "sqlite:file.db"\n')
    settings = load(path, environment={})
    assert (settings.listen, settings.domains, settings.open) == (["udp:127.0.0.1:5070"], ["file.test"], True)
    assert settings.database == "file.db"
    flags = load(
        path, listen=["udp:127.0.0.1:5071"], domains=["flag.test"], store="flag.db", open_=False, environment={}
    )
    assert (flags.listen, flags.domains, flags.open) == (["udp:127.0.0.1:5071"], ["flag.test"], False)
    assert flags.database == "flag.db"
    assert load(environment={"HOME": str(tmp_path / "nowhere")}).listen == ["udp:127.0.0.1:5060"]
