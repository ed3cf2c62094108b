"""Know which log lines a caller has had, so that reading again loses and doubles none. Pure.

Why: an Engine that follows a log may end before it has sent the last lines of a container that
exits (moby issue 43860), and it ends when it is itself restarted. The reader then asks again.
Invariants (tests/unit/nodeagent/runtime/test_log_cursor.py): each line of a stream is new once,
even where several carry the same time.
"""

from nodeagent.runtime.port import ContainerLogLine

_OVERLAP_NS = 1_000_000_000
"""Times of stdout and stderr may be out of order by microseconds; so much is read again."""


class LogCursor:
    """What has been handed over, per stream. Begin a pass for each reading."""

    def __init__(self, baseline_ns: int) -> None:
        """Start; lines older than `baseline_ns` are never new in a later pass."""
        self._baseline_ns = baseline_ns
        self._is_first_pass = True
        self._last_ns: dict[bool, int] = {}
        self._count_at_last: dict[bool, int] = {}
        self._to_skip: dict[bool, int] = {}

    @property
    def has_any(self) -> bool:
        """Whether any line was handed over."""
        return bool(self._last_ns)

    @property
    def since(self) -> float:
        """From when on to read again, in Unix seconds; 0 = from the start."""
        if not self._last_ns:
            return self._baseline_ns / 1e9
        return max((max(self._last_ns.values()) - _OVERLAP_NS) / 1e9, 0.0)

    def begin_pass(self) -> None:
        """Reading starts again, at `since` or earlier."""
        self._is_first_pass = False
        self._to_skip = dict(self._count_at_last)

    def take(self, line: ContainerLogLine) -> bool:
        """Return whether `line` is new, and remember it."""
        stream, time_ns = line.is_stderr, line.time_ns
        last_ns = self._last_ns.get(stream)
        if self._is_first_pass:
            if not self._last_ns:
                # What lies before the first line was not asked for (`tail`), on either stream.
                self._baseline_ns = max(self._baseline_ns, time_ns)
        elif last_ns is None:
            if time_ns < self._baseline_ns:
                return False
        elif time_ns < last_ns:
            return False
        elif time_ns == last_ns and self._to_skip.get(stream, 0) > 0:
            self._to_skip[stream] -= 1
            return False
        if time_ns == last_ns:
            self._count_at_last[stream] += 1
        else:
            self._count_at_last[stream] = 1
            self._to_skip[stream] = 0  # What was to be skipped carried an older time.
        self._last_ns[stream] = time_ns
        return True
