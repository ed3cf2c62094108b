"""The examples in deploy/config are valid as they are, and complete once everything is set."""

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import nodeagent.main
import scheduler.main
from berth.config import _leaves
from nodeagent.config import AgentSettings
from scheduler.config import SchedulerSettings

FOLDER = Path(__file__).parents[3] / "deploy" / "config"
PROGRAMS = [
    pytest.param("scheduler.toml", scheduler.main.main, SchedulerSettings, id="scheduler"),
    pytest.param("agent.toml", nodeagent.main.main, AgentSettings, id="agent"),
]
TABLES_OF_THE_USER = ("label", "generic_resource")


def with_everything_set(name):
    """Return an example with the # taken from each line that holds a setting."""
    text = (FOLDER / name).read_text("utf-8")
    return re.sub(r"^#(?=[a-z_]+ = )", "", text, flags=re.MULTILINE)


def keys_of(table, path=()):
    for name, value in table.items():
        key = (*path, name)
        if isinstance(value, dict) and name not in TABLES_OF_THE_USER:
            yield from keys_of(value, key)
        else:
            yield ".".join(key)


def check(command, file):
    result = CliRunner(env={"COLUMNS": "200"}).invoke(
        command, ["--config", str(file), "--check-config"]
    )
    return result.exit_code, result.output


@pytest.mark.parametrize(("name", "command", "settings"), PROGRAMS)
def test_the_example_is_valid_as_it_is(name, command, settings):
    code, output = check(command, FOLDER / name)
    assert (code, output.splitlines()[-1]) == (0, "the configuration is valid"), output


@pytest.mark.parametrize(("name", "command", "settings"), PROGRAMS)
def test_the_example_names_every_setting_with_a_value_that_is_valid(
    name, command, settings, tmp_path
):
    text = with_everything_set(name)
    file = tmp_path / name
    file.write_text(text, "utf-8")
    code, output = check(command, file)
    assert code == 0, output
    assert set(keys_of(tomllib.loads(text))) == {key for key, _ in _leaves(settings, ())}


@pytest.mark.parametrize(("name", "command", "settings"), PROGRAMS)
def test_a_misspelt_key_of_the_example_would_be_found(name, command, settings, tmp_path):
    file = tmp_path / name
    file.write_text(with_everything_set(name).replace("http_listen =", "http_lissten ="), "utf-8")
    code, output = check(command, file)
    assert code == 1
    assert 'did you mean "http_listen"' in output


@pytest.mark.parametrize(("name", "command", "settings"), PROGRAMS)
def test_a_program_that_refuses_its_settings_says_why_and_ends_with_2(
    name, command, settings, tmp_path
):
    file = tmp_path / name
    file.write_text("nonsense", "utf-8")
    result = CliRunner().invoke(command, ["--config", str(file)])
    assert result.exit_code == 2, "as docs/runbook.md says"
    assert result.stderr.startswith(f"Error: invalid settings:\n  {file}: is not TOML")


@pytest.mark.parametrize(("name", "command", "settings"), PROGRAMS)
def test_every_setting_of_the_example_is_explained(name, command, settings):
    lines = (FOLDER / name).read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if re.match(r"#?[a-z_]+ = ", line):
            # Settings that belong together stand below one explanation, without blank lines.
            block = lines[:number]
            while block and not block[-1].startswith("# "):
                above = block.pop()
                assert re.match(r"#?[a-z_]+ = |\[[a-z_]+\]$", above), f"{name}: {line}"
