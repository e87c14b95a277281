"""The channels that are wanted, sent and confirmed."""

from __future__ import annotations

from typing import List

from bananas._redis.protocol import ReplyError
from bananas._waits.channels import Channels
from bananas._wire.keys import Keys

CHANNEL = Keys().channel("a")


def _confirmation(kind: bytes) -> List[object]:
    return [kind, CHANNEL, 1]


def test_only_the_latest_confirmation_counts() -> None:
    """Between the first SUBSCRIBE and the second one, an UNSUBSCRIBE lets notifications be lost."""
    channels = Channels(Keys())
    channels.connected()
    assert not channels.want("a")
    assert channels.take_changes() == [(b"SUBSCRIBE", CHANNEL)]
    channels.unwant("a")
    assert channels.take_changes() == [(b"UNSUBSCRIBE", CHANNEL)]
    assert not channels.want("a")
    assert channels.take_changes() == [(b"SUBSCRIBE", CHANNEL)]
    heard = channels.read([_confirmation(b"subscribe"), _confirmation(b"unsubscribe")])
    assert heard.confirmed == []
    assert channels.read([_confirmation(b"subscribe")]).confirmed == ["a"]


def test_wanted_again_before_it_was_given_up() -> None:
    """Nothing is sent, and nothing was missed."""
    channels = Channels(Keys())
    channels.want("a")
    channels.connected()
    assert channels.take_changes() == [(b"SUBSCRIBE", CHANNEL)]
    assert not channels.want("a")
    channels.read([_confirmation(b"subscribe")])
    channels.unwant("a")
    assert channels.want("a")
    assert channels.take_changes() == []


def test_a_new_connection_begins_anew() -> None:
    """What is wanted is subscribed again, and its first confirmation counts."""
    channels = Channels(Keys())
    channels.want("a")
    channels.want("b")
    channels.connected()
    channels.take_changes()
    channels.unwant("b")
    channels.lost()
    assert channels.take_changes() == []
    channels.connected()
    assert channels.take_changes() == [(b"SUBSCRIBE", CHANNEL)]
    assert channels.read([_confirmation(b"subscribe")]).confirmed == ["a"]


def test_given_up_before_it_was_asked_for() -> None:
    """Nothing is sent."""
    channels = Channels(Keys())
    channels.connected()
    channels.want("a")
    channels.unwant("a")
    assert channels.take_changes() == []


def test_nothing_piles_up_without_a_connection() -> None:
    """What is wanted and given up meanwhile leaves nothing behind."""
    channels = Channels(Keys())
    channels.want("a")
    channels.unwant("a")
    assert not channels._changed


def test_what_replies_say() -> None:
    """Only messages about what is wanted count; a pong says nothing."""
    channels = Channels(Keys())
    channels.connected()
    channels.want("a")
    channels.take_changes()
    message: List[object] = [b"message", CHANNEL, b"done"]
    assert channels.read([[b"pong", b""], b"PONG", message]).notified == ["a"]
    channels.unwant("a")
    heard = channels.read([message, _confirmation(b"subscribe")])
    assert (heard.notified, heard.confirmed) == ([], [])


def test_refused_subscription() -> None:
    """Those whose channels were not confirmed are told of it, once."""
    channels = Channels(Keys())
    channels.connected()
    channels.want("a")
    channels.want("b")
    channels.take_changes()
    channels.unwant("b")
    refusal = ReplyError("NOPERM", "no")
    heard = channels.read([refusal])
    assert (heard.refusal, heard.notified) == (refusal, ["a"])
    assert channels.read([refusal]).notified == []
