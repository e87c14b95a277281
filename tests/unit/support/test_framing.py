"""RESP frames are found whatever the stream is cut into."""

from __future__ import annotations

import random
from typing import List

import pytest

from tests.support.exchanges import Exchanges
from tests.support.framing import Framer, encode_command, read_command

FRAMES = [
    encode_command(b"MULTI"),
    encode_command("SET", "k", b"\r\n*3\r\n$1\r\n"),
    encode_command("LPUSH", "list", 1, 2.5),
    b"PING inline\r\n",
    b"+OK\r\n",
    b"-ERR no\r\n",
    b":-1\r\n",
    b"$-1\r\n",
    b"$0\r\n\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*2\r\n*2\r\n$1\r\na\r\n*0\r\n:1\r\n",
    b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n",
    b">2\r\n+pong\r\n$0\r\n\r\n",
    b"|1\r\n+ttl\r\n:3\r\n*2\r\n#t\r\n,1.5\r\n",
    b"~1\r\n=7\r\ntxt:abc\r\n",
    b"*junk\r\n",
    b"\r\n",
]


def test_every_frame_is_found_whole() -> None:
    """A stream that comes in one piece is cut at every frame."""
    assert Framer().feed(b"".join(FRAMES)) == FRAMES


def test_frames_do_not_depend_on_the_pieces() -> None:
    """Pieces of one byte, and of random sizes, give the same frames."""
    stream = b"".join(FRAMES)
    rng = random.Random(7)
    for largest in (1, 2, 9, 40):
        framer, found, at = Framer(), [], 0
        while at < len(stream):
            size = rng.randint(1, largest)
            found += framer.feed(stream[at : at + size])
            at += size
        assert found == FRAMES
        assert framer.rest == b""


def test_the_rest_is_what_no_frame_has_taken() -> None:
    """The start of an unfinished frame can be asked for."""
    framer = Framer()
    assert framer.feed(b"+OK\r\n*2\r\n$1\r\na") == [b"+OK\r\n"]
    assert framer.rest == b"*2\r\n$1\r\na"
    assert framer.feed(b"\r\n:1\r\n") == [b"*2\r\n$1\r\na\r\n:1\r\n"]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (encode_command("SET", "k", b"\r\n"), [b"SET", b"k", b"\r\n"]),
        (b"PING inline\r\n", [b"PING", b"inline"]),
        (b"\r\n", []),
        (b"*junk\r\n", []),
        (b"*1\r\n:1\r\n", []),
    ],
)
def test_commands_are_read(frame: bytes, words: List[bytes]) -> None:
    """A command is its words; what is none has none."""
    assert read_command(frame) == words


def confirmation(kind: bytes, channel: bytes = b"c", mark: bytes = b"*") -> bytes:
    return b"%b3\r\n$%d\r\n%b\r\n$1\r\n%b\r\n:1\r\n" % (mark, len(kind), kind, channel)


def asked(*requests: List[bytes]) -> Exchanges[str]:
    exchanges: Exchanges[str] = Exchanges()
    for words in requests:
        exchanges.asked(words, b" ".join(words).decode())
    return exchanges


def test_replies_answer_in_order() -> None:
    """Each reply belongs to the oldest request without one; one too many belongs to none."""
    exchanges = asked([b"GET", b"a"], [b"EXEC"])
    assert exchanges.answered(b"$-1\r\n") == "GET a"
    assert exchanges.answered(b"*0\r\n") == "EXEC"
    assert exchanges.answered(b"+stray\r\n") is None


def test_a_subscription_is_confirmed_for_every_channel() -> None:
    """Only the first confirmation counts as the reply, and the next request has its own."""
    exchanges = asked([b"SUBSCRIBE", b"c", b"d"], [b"PING"])
    assert exchanges.answered(confirmation(b"subscribe")) == "SUBSCRIBE c d"
    assert exchanges.answered(confirmation(b"subscribe", b"d")) is None
    assert exchanges.answered(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n") == "PING"


@pytest.mark.parametrize("mark", [b"*", b">"])
def test_messages_answer_nothing(mark: bytes) -> None:
    """A message between a request and its confirmation belongs to neither."""
    exchanges = asked([b"SUBSCRIBE", b"c"])
    message = b"%b3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n" % mark
    assert exchanges.answered(message) is None
    assert exchanges.answered(confirmation(b"subscribe", mark=mark)) == "SUBSCRIBE c"
    assert exchanges.answered(message) is None


def test_leaving_every_channel_is_confirmed_as_often_as_needed() -> None:
    """UNSUBSCRIBE without channels takes every confirmation up to the next reply."""
    exchanges = asked([b"UNSUBSCRIBE"], [b"PING"])
    assert exchanges.answered(confirmation(b"unsubscribe")) == "UNSUBSCRIBE"
    assert exchanges.answered(confirmation(b"unsubscribe", b"d")) is None
    assert exchanges.answered(b"+PONG\r\n") == "PING"


def test_a_refused_subscription_has_one_reply() -> None:
    """An error stands for all the confirmations that won't come."""
    exchanges = asked([b"SUBSCRIBE", b"c", b"d"], [b"PING"])
    assert exchanges.answered(b"-NOPERM no\r\n") == "SUBSCRIBE c d"
    assert exchanges.answered(b"+PONG\r\n") == "PING"


def test_pushes_answer_nothing() -> None:
    """What a RESP3 server says unasked is no reply."""
    exchanges = asked([b"GET", b"a"])
    assert exchanges.answered(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n") is None
    assert exchanges.answered(b"$1\r\nx\r\n") == "GET a"
