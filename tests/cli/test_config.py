"""``ringback config``: the settings as they are, and whether they can be used."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_shows_every_setting_and_where_it_comes_from(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ringback.toml").write_text('domains = ["one.test"]\n[auth]\nsecret = "0123456789abcdef"\n')
    lines = {line.split()[0]: line for line in run("config", "show", "--origin").stdout.splitlines()}
    assert lines["domains"].split() == ["domains", '["one.test"]', "ringback.toml"]
    assert lines["registrar.max_contacts"].split() == ["registrar.max_contacts", "10", "default"]
    assert "0123456789abcdef" not in lines["auth.secret"]
    assert 'domains = ["one.test"]' in run("config", "show").stdout
    shown = json.loads(run("config", "show", "--json").stdout)
    assert shown["domains"] == {"value": ["one.test"], "origin": "ringback.toml"}


def test_a_file_that_can_be_used_is_0(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ringback.toml").write_text('domains = ["one.test"]\n')
    done = run("config", "check")
    assert (done.returncode, done.stdout) == (0, "ringback.toml: all is well\n")


def test_a_file_that_cannot_be_used_is_2_and_names_the_key(run: Run, tmp_path: Path) -> None:
    for text, key in (
        ("domain = ['one.test']", "domain: unknown key, did you mean domains?"),
        ("listen = ['udp:0.0.0.0:5060']", "domains: "),
        ("listen = ['tls:127.0.0.1:5061']\ntls.certificate = 'none.pem'", "none.pem"),
    ):
        (tmp_path / "ringback.toml").write_text(text)
        done = run("config", "check")
        assert done.returncode == 2
        assert key in done.stderr
        assert len(done.stderr.splitlines()) == 1
