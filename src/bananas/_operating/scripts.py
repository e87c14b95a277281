"""Script: one step of the server, and the rights that it needs.

Another client sees all that a script does, or nothing. A refusal in the middle would leave the
first half done, so whoever runs one asks for every right before. EVAL carries the text each time:
it is short beside the documents, and no server has forgotten it.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple, Optional, Sequence

from .._redis import Argument, Command
from .connection import OperatingConnection
from .deployment import granted
from .rights import check_rights

__all__ = ["UNCHANGED", "Script", "digest"]

#: Whether a document is as it was read: the digest is that of it, or empty where there was none.
UNCHANGED = """
local function unchanged(job, digest)
  local found = redis.pcall('GET', job)
  if type(found) == 'string' then return redis.sha1hex(found) == digest end
  return not found and digest == ''
end
"""


def digest(document: Optional[bytes]) -> bytes:
    """Return the SHA-1 of a document in hexadecimal digits; nothing for none."""
    return b"" if document is None else hashlib.sha1(document).hexdigest().encode()


class Script(NamedTuple):
    """A script with what it is given.

    Attributes:
        text: The script.
        keys: Its keys.
        arguments: Its arguments.
        rights: Every command that it may run, with the keys that it runs it on.
    """

    text: str
    keys: Sequence[bytes]
    arguments: Sequence[Argument]
    rights: Sequence[Command]

    async def check_rights(
        self, connection: OperatingConnection, task: str, job_id: Optional[str] = None
    ) -> None:
        """Ask for every right that it needs; see ``rights.check_rights``."""
        probe: Command = (b"EVAL", b"return 1", len(self.keys), *self.keys)
        await check_rights(connection, [probe, *self.rights], task, job_id)

    async def run(
        self, connection: OperatingConnection, task: str, job_id: Optional[str] = None
    ) -> Any:
        """Run it, and return its reply.

        Raises:
            exceptions.ServerError: Redis refuses.
        """
        command: Command = (b"EVAL", self.text, len(self.keys), *self.keys, *self.arguments)
        (reply,) = granted(await connection.run([command]), task, job_id)
        return reply
