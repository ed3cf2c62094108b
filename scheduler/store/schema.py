"""The version of stored records: in each of them, and checked at each reading."""

from typing import Final, TypeVar

from google.protobuf.message import Message

from berth.errors import InternalError

SCHEMA: Final = 1
"""Of every record that has nothing of a newer one in it."""

NEWEST: Final = 2
"""Of a service whose tasks are named by steps (`berth.model.ids`): who does not know these would
give its tasks other IDs, and start all of them anew."""

M = TypeVar("M", bound=Message)


def checked(message: M, what: str) -> M:
    """Return `message` if this version of Berth reads its schema.

    Raises:
        InternalError: it does not; to write it back would lose what we do not know.
    """
    schema = message.schema  # type: ignore[attr-defined]  # every record of ours has it
    if not SCHEMA - 1 <= schema <= NEWEST:
        raise InternalError(
            f"a {what} record has schema {schema}, but this scheduler reads {SCHEMA - 1} to "
            f"{NEWEST}: run the version of Berth that wrote it, or a newer one"
        )
    return message
