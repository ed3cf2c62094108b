"""What is masked, and what never is."""

from tests.beside.command import Command, Form, Told
from tests.beside.masks import lines_of, masked

TABLE = """ID             NAME      NODE     CURRENT STATE            ERROR
hyar2mipd31f   web.1     host-2   Running 5 seconds ago
abcdefghijkl    \\_ web.1   host-3   Failed 2 minutes ago   "task: non-zero exit (1)"
"""


def told(stdout: str, stderr: str = "", exit_code: int = 0) -> Told:
    return Told(exit_code, stdout, stderr)


def test_ids_times_addresses_and_keys_are_masked() -> None:
    assert (
        masked("task r7mwe2q42qewygdqefmis76eu at 10.186.125.11:2377") == "task <ID> at <ADDRESS>"
    )
    assert masked("2026-11-23 08:54:40.123 +0000 UTC, About a minute ago") == "<TIME>, <AGO>"
    assert masked("web.1.hyar2mipd31f@host-1") == "web.1.<ID>@host-1"


def test_digests_words_and_numbers_of_messages_stay() -> None:
    digest = f"sha256:{'0a' * 32}"
    for text in (f"app:1.0@{digest}", "no suitable node (3 nodes)", "exit (1)", "*:80->80/tcp"):
        assert masked(text) == text


def test_a_table_of_tasks_tells_all_but_where_and_who() -> None:
    assert lines_of(Command("x", "x", Form.TASKS), told(TABLE)) == [
        '<ID>  \\_ web.1  <NODE>  Failed <AGO>  "task: non-zero exit (1)"',
        "<ID>  web.1  <NODE>  Running <AGO>",
        "ID  NAME  NODE  CURRENT STATE  ERROR",
        "exit code: 0",
    ]


def test_exit_codes_and_errors_count() -> None:
    found = lines_of(Command("x", "x"), told("", "Error: no such thing\n", 125))
    assert found == ["stderr: Error: no such thing", "exit code: 125"]


def test_progress_is_its_end_and_its_words() -> None:
    said = """overall progress: 0 out of 2 tasks
1/2: preparing
overall progress: 2 out of 2 tasks
verify: Detected task failure
verify: Waiting 1 seconds to verify that tasks are stable...
verify: Service hyar2mipd31fkpq0123456789 converged
"""
    assert lines_of(Command("x", "x", Form.PROGRESS), told(said)) == [
        "verify: Service <ID> converged",
        "overall progress: 2 out of 2 tasks",
        "exit code: 0",
    ]
    given_up = lines_of(Command("x", "x", Form.PROGRESS), told(said, exit_code=1))
    assert given_up == ["verify: Service <ID> converged", "exit code: 1"]


def test_json_is_compared_path_by_path_without_the_order_of_keys() -> None:
    left = lines_of(Command("x", "x", Form.JSON), told('[{"Version":{"Index":7},"A":{"B":1}}]'))
    right = lines_of(Command("x", "x", Form.JSON), told('[{"A":{"B":1},"Version":{"Index":9}}]'))
    assert left == right == ["[].A.B = 1", "[].Version.Index = <VERSION>", "exit code: 0"]
