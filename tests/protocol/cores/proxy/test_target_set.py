"""The target set (RFC 3261 §16.5)."""

import pytest

from ringback.protocol.cores.proxy.target_set import Target, TargetSet


def taken(targets):
    uris = []
    while targets.waiting:
        uris.append(targets.waiting.pop().uri_text)
    return uris


@pytest.mark.row("FRK-2", part="order")
def test_gives_targets_from_the_highest_q_down_and_equals_in_their_order():
    targets = TargetSet(
        [
            Target("sip:low@x.test", q=0.1),
            Target("sip:none@x.test"),
            Target("sip:mid@x.test", q=0.5),
            Target("sip:one@x.test", q=1.0),
            Target("sip:mid2@x.test", q=0.5),
        ]
    )
    assert [target.uri_text for target in targets.group()] == ["sip:one@x.test", "sip:none@x.test"]
    assert targets.widest() == 2
    assert taken(targets) == [
        "sip:none@x.test",
        "sip:one@x.test",
        "sip:mid@x.test",
        "sip:mid2@x.test",
        "sip:low@x.test",
    ]
    assert targets.widest() == 0


@pytest.mark.row("PX-3", part="no URI tried twice")
@pytest.mark.rfc("3261 16.5")
def test_takes_no_uri_twice_by_uri_equality():
    targets = TargetSet([Target("sip:bob@Desk.test")])
    assert not targets.add(Target("sip:%62ob@desk.test;unknown=x"))
    assert targets.add(Target("sip:bob@desk.test:5060"))
    assert taken(targets) == ["sip:bob@Desk.test", "sip:bob@desk.test:5060"]
    assert not targets.add(Target("sip:bob@Desk.test"))


def test_is_bounded():
    targets = TargetSet(limit=2)
    assert [targets.add(Target(f"sip:{n}@x.test")) for n in range(3)] == [True, True, False]


def test_remembers_what_was_there_before():
    targets = TargetSet([Target("sip:a@x.test")])
    targets.waiting.clear()
    assert not targets.add(Target("sip:a@x.test"))


def test_what_is_no_uri_is_not_taken():
    targets = TargetSet([Target("nonsense")])
    assert not targets.add(Target("sip:@"))
    assert targets.add(Target("sip:a@x.test"))
    assert taken(targets) == ["nonsense", "sip:a@x.test"]


def test_a_target_shows_itself():
    assert repr(Target("sip:a@x.test", q=0.3)) == "Target(sip:a@x.test q=0.3)"
