"""What can go wrong while several hosts are made on one machine."""

from berth.errors import BerthError


class LabError(BerthError):
    """The lab could not be set up or did not do as told; the message says what to look at."""
