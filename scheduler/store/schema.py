"""The version of stored records: in each of them, and checked at each reading."""

from typing import Final, TypeVar

from google.protobuf.message import Message

from berth.errors import InternalError

SCHEMA: Final = 1

M = TypeVar("M", bound=Message)


def checked(message: M, what: str) -> M:
    """Return `message` if this version of Berth reads its schema.

    Raises:
        InternalError: it does not; to write it back would lose what we do not know.
    """
    schema = message.schema  # type: ignore[attr-defined]  # every record of ours has it
    if not SCHEMA - 1 <= schema <= SCHEMA:
        raise InternalError(
            f"a {what} record has schema {schema}, but this scheduler reads {SCHEMA - 1} and "
            f"{SCHEMA}: run the version of Berth that wrote it, or a newer one"
        )
    return message
