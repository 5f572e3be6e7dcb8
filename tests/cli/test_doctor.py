"""``ringback doctor``: what stands in the way, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

from tests.certificates import authority
from tests.cli.conftest import Run


def findings(run: Run, *words: str) -> dict[str, dict[str, str]]:
    done = run("doctor", "--json", "--config", "r.toml", *words)
    return {it["what"]: it for it in map(json.loads, done.stdout.splitlines())} | {"": {"code": str(done.returncode)}}


def test_looks_at_everything(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('listen = ["udp:127.0.0.1:0"]\n')
    found = findings(run)
    assert {"settings", "store", "port udp:127.0.0.1:0", "DNS", "clock", "certificate", "buffers", "open files"} <= set(
        found
    )
    assert found["settings"]["result"] == found["store"]["result"] == found["port udp:127.0.0.1:0"]["result"] == "ok"
    shown = run("doctor", "--config", "r.toml").stdout
    assert "ok   settings: r.toml\n" in shown


def test_a_wrong_setting_is_bad_and_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("listn = []\n")
    found = findings(run)
    assert (found["settings"]["result"], found[""]["code"]) == ("bad", "1")
    assert "did you mean listen?" in found["settings"]["says"]


def test_a_name_server_that_does_not_answer_is_bad(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('listen = ["udp:127.0.0.1:0"]\nnameservers = ["127.0.0.1:9"]\n')
    found = findings(run)
    assert found["DNS"]["result"] == "bad"
    assert found["DNS"]["do"]


def test_a_certificate_for_another_name_is_bad(run: Run, tmp_path: Path) -> None:
    mine = authority().issue("other.test")
    (tmp_path / "r.toml").write_text(
        f'listen = ["udp:127.0.0.1:0"]\ndomains = ["example.test", "other.test"]\n[tls]\ncertificate = "{mine.both}"\n'
    )
    shown = [it for it in run("doctor", "--config", "r.toml").stdout.splitlines() if "certificate" in it]
    assert len(shown) == 2
    assert "days left" in shown[0]
    assert shown[1] == "bad  certificate: for other.test, not for example.test"
