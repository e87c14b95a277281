"""JSON as Go writes it, and the words in which Go refuses it."""

from __future__ import annotations

import json
import re
from typing import Any, List, NoReturn

from .._wire import dumps

__all__ = ["compact", "encode", "syntax_error"]

# Go escapes what is dangerous inside HTML and JavaScript.
_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[^"\s]+', re.DOTALL)

_WHITESPACE = " \t\r\n"
_VALUE = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')


def encode(value: Any, argument: str = "result") -> str:
    """Return the JSON text that Go's encoder would write.

    Raises:
        SerializationError: The value is not JSON that Go accepts.
    """
    return dumps(value, argument).decode().translate(_ESCAPES)


def compact(text: str) -> str:
    """Return a JSON text as Go writes raw JSON back: without white space, numbers untouched."""
    return "".join(_TOKEN.findall(text)).translate(_ESCAPES)


def syntax_error(text: str) -> str:
    """Return Go's words for the first thing that is no JSON; empty where all is JSON."""
    try:
        _Scanner(text).document()
    except _Refusal as refusal:
        return str(refusal)
    return ""


class _Refusal(Exception):
    pass


class _Scanner:
    """Walks through a JSON text as Go's scanner does."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def document(self) -> None:
        """Read one value and the white space around it."""
        # A stack of closing brackets rather than recursion: the text comes from anywhere.
        stack = [""]
        self.value(stack)
        while len(stack) > 1:
            closing = stack[-1]
            char = self.peek()
            where = "after object key:value pair" if closing == "}" else "after array element"
            if char == closing:
                self.at += 1
                stack.pop()
            elif char == ",":
                self.at += 1
                if closing == "}":
                    self.key()
                self.value(stack)
            else:
                self.refuse(where)
        if self.peek(ending=True):
            self.refuse("after top-level value")

    def value(self, stack: List[str]) -> None:
        """Read a scalar, or open a container and everything that opens inside it."""
        while True:
            char = self.peek()
            if char == "{":
                self.at += 1
                if self.peek() == "}":
                    self.at += 1
                    return
                stack.append("}")
                self.key()
            elif char == "[":
                self.at += 1
                if self.peek() == "]":
                    self.at += 1
                    return
                stack.append("]")
            else:
                self.scalar()
                return

    def key(self) -> None:
        if self.peek() != '"':
            self.refuse("looking for beginning of object key string")
        self.string()
        if self.peek() != ":":
            self.refuse("after object key")
        self.at += 1

    def scalar(self) -> None:
        if self.text[self.at] == '"':
            self.string()
            return
        match = _VALUE.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
            return
        for word in ("true", "false", "null"):
            if self.text[self.at] == word[0]:
                self.literal(word)
        if self.text[self.at] == "-":
            self.at += 1
            self.present()
            self.refuse("in numeric literal")
        self.refuse("looking for beginning of value")

    def literal(self, word: str) -> None:
        for position, expected in enumerate(word):
            self.present()
            if self.text[self.at] != expected:
                self.refuse(f"in literal {word} (expecting {_quoted(word[position])})")
            self.at += 1

    def string(self) -> None:
        match = _STRING.match(self.text, self.at)
        if match is None:
            raise _Refusal(self.string_problem())
        self.at = match.end()

    def string_problem(self) -> str:
        """Say what is wrong inside a string; rare, hence character by character."""
        self.at += 1
        while True:
            char = self.present()
            if char < " ":
                return f"invalid character {_quoted(char)} in string literal"
            self.at += 1
            if char == "\\":
                escape = self.present()
                self.at += 1
                if escape == "u":
                    for _ in range(4):
                        digit = self.present()
                        if digit not in "0123456789abcdefABCDEF":
                            return (
                                f"invalid character {_quoted(digit)} "
                                "in \\u hexadecimal character escape"
                            )
                        self.at += 1
                elif escape not in '"\\/bfnrt':
                    return f"invalid character {_quoted(escape)} in string escape code"

    def peek(self, ending: bool = False) -> str:
        """Skip white space and return the next character, which must be there unless ``ending``."""
        while self.at < len(self.text) and self.text[self.at] in _WHITESPACE:
            self.at += 1
        return "" if ending and self.at >= len(self.text) else self.present()

    def present(self) -> str:
        if self.at >= len(self.text):
            raise _Refusal("unexpected end of JSON input")
        return self.text[self.at]

    def refuse(self, where: str) -> NoReturn:
        raise _Refusal(f"invalid character {_quoted(self.text[self.at])} {where}")


def _quoted(char: str) -> str:
    """Quote a character as Go's strconv does."""
    if char == "'":
        return "'\\''"
    if char == '"':
        return "'\"'"
    if char.isprintable():
        return f"'{char}'"
    return "'" + json.dumps(char)[1:-1] + "'"
