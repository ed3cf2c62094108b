"""The dashboards are fresh, complete, and ask for metrics that exist."""

import json
import re
from pathlib import Path

import pytest

from deploy.dev.pictured import FILE_NAME, listing
from deploy.grafana.boards import BOARDS
from deploy.grafana.build import FOLDER, stale_files
from tests.unit.deploy.test_prometheus import METRIC, documented

FILES = sorted(FOLDER.glob("*.json"))
VARIABLES = {"cluster", "node", "service", "datasource"}


def panels_of(path):
    board = json.loads(path.read_text("utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def test_the_files_are_what_the_boards_say():
    assert stale_files() == []
    assert len(FILES) == len(BOARDS) == 4


def test_a_file_that_somebody_edited_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.grafana.build.FOLDER", tmp_path)
    (tmp_path / "of-nobody.json").write_text("{}")
    assert len(stale_files()) == len(BOARDS) + 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_panel_is_described_measured_and_coloured(path):
    for panel in panels_of(path):
        defaults = panel["fieldConfig"]["defaults"]
        assert len(panel["description"]) > 10, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert defaults["unit"], panel["title"]
        assert defaults["thresholds"]["steps"], panel["title"]
        assert panel["targets"], panel["title"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_have_numbers_of_their_own_and_fill_their_lines(path):
    board = json.loads(path.read_text("utf-8"))
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    lines = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        lines[place["y"]] = lines.get(place["y"], 0) + place["w"]
    assert set(lines.values()) == {24}, lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_query_asks_for_metrics_that_are_documented(path):
    for panel in panels_of(path):
        for target in panel["targets"]:
            names = set(METRIC.findall(target["expr"])) | set(
                re.findall(r"\bALERTS\b", target["expr"])
            )
            assert names, f"{panel['title']}: {target['expr']}"
            assert names <= documented(), f"{panel['title']}: {names - documented()}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_variables_are_defined_and_used(path):
    board = json.loads(path.read_text("utf-8"))
    defined = {variable["name"] for variable in board["templating"]["list"]}
    text = json.dumps(board["panels"])
    used = set(re.findall(r"\$\{?([a-z]+)\b", text)) - {"__rate_interval"}
    assert used == defined
    assert defined <= VARIABLES


def test_the_pictures_are_of_these_very_panels():
    pictures = Path(FOLDER).parents[2] / "docs" / "pictures"
    assert (pictures / FILE_NAME).read_text("utf-8") == listing(FILES), "draw anew: make pictures"
    assert {path.stem for path in pictures.glob("*.png")} == {path.stem for path in FILES}


def test_a_stock_grafana_finds_source_and_dashboards():
    provisioning = Path(FOLDER).parent / "provisioning"
    source = (provisioning / "datasources" / "berth.yml").read_text("utf-8")
    boards = (provisioning / "dashboards" / "berth.yml").read_text("utf-8")
    assert "type: prometheus" in source
    assert "path: /var/lib/grafana/berth" in boards
    (uid,) = re.findall(r"^ +uid: (\S+)$", source, re.MULTILINE)
    for path in FILES:
        board = json.loads(path.read_text("utf-8"))
        (chosen,) = [v for v in board["templating"]["list"] if v["name"] == "datasource"]
        assert chosen["query"] == "prometheus", "any source of this kind, as the one of the file is"
        asked = {panel["datasource"]["uid"] for panel in panels_of(path)}
        assert asked <= {"$datasource", "${datasource}", uid}, asked
