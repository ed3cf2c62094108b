"""Rules, alerts and configurations of deploy/prometheus hold what they promise."""

import json
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]
FOLDER = TOP / "deploy" / "prometheus"
RECORDING = FOLDER / "rules" / "berth-recording.yml"
ALERTS = FOLDER / "rules" / "berth-alerts.yml"
CONFIGURATIONS = sorted(path.name for path in FOLDER.glob("*.yml"))
CASES = FOLDER / "tests" / "alerts.yml"
LIVE = (TOP / "tests" / "e2e" / "test_alerts.py").read_text("utf-8")
METRIC = re.compile(r"\b((?:berth|etcd|swarm_manager)_[a-z0-9_]+|up)\b(?=[{\s)[]|$)")


def promtool(*argv):
    answer = subprocess.run(["promtool", *argv], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def alert_names():
    return re.findall(r"- alert: (\w+)", ALERTS.read_text("utf-8"))


def expressions(path):
    return re.findall(r"^ +expr: (.+)$", path.read_text("utf-8"), re.MULTILINE)


def documented():
    page = (TOP / "docs" / "metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-zA-Z_]+)` \| ([a-z]+) \|", page, re.MULTILINE)
    names = set()
    for name, kind in rows:
        names.add(name)
        if kind == "histogram":
            names |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    return names


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_each_configuration_is_valid(name):
    promtool("check", "config", str(FOLDER / name))


def test_every_alert_is_quiet_when_all_is_well_and_loud_when_it_is_not():
    assert "SUCCESS" in promtool("test", "rules", str(CASES))


def test_every_alert_has_a_case():
    cases = CASES.read_text("utf-8")
    for name in alert_names():
        asked = cases.count(f"        alertname: {name}\n")
        loud = cases.count(f"        alertname: {name}\n        exp_alerts:")
        assert (asked, loud) == (2, 1), f"{name}: one quiet and one loud moment in {CASES.name}"


def test_every_alert_links_to_its_paragraph():
    headings = re.findall(r"^## (\w+)$", (TOP / "docs/runbook.md").read_text("utf-8"), re.MULTILINE)
    assert headings == alert_names()
    base = "{{ with $externalLabels.berth_runbook }}{{ . }}{{ else }}docs/runbook.md{{ end }}"
    links = re.findall(r"runbook_url: '(.*)#(\w+)'", ALERTS.read_text("utf-8"))
    assert links == [(base, name.lower()) for name in alert_names()]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_runbook_has_a_place_to_set_and_its_label_stays_here(name):
    text = (FOLDER / name).read_text("utf-8")
    assert "  external_labels:\n    berth_runbook: https://" in text
    assert "    - regex: berth_runbook\n      action: labeldrop\n" in text


def test_the_table_of_alerts_names_case_paragraph_and_live_fault_of_every_one():
    rows = re.findall(
        r"^\| \[(\w+)\]\(#(\w+)\) \| [^|]+ \| ([^|]+) \| `(\w+)` \|$",
        (TOP / "docs/runbook.md").read_text("utf-8"),
        re.MULTILINE,
    )
    assert [name for name, *_ in rows] == alert_names()
    cases = dict(re.findall(r'- name: "(\w+): ([^"]*)"', CASES.read_text("utf-8")))
    for name, anchor, case, test in rows:
        assert anchor == name.lower()
        assert case == cases[name]
        body = re.search(
            rf"^def {test}\(.*?(?=^(?:def|class|@)|\Z)", LIVE, re.MULTILINE | re.DOTALL
        )
        expected = re.findall(r"expect\(cluster, prometheus,|expect\(small, it,", body[0])
        assert expected, f"{test} waits for no alert"
        assert f'"{name}"' in body[0], f"{test} does not wait for {name}"


def test_links_within_the_runbook_lead_somewhere():
    text = (TOP / "docs/runbook.md").read_text("utf-8")
    assert set(re.findall(r"\]\(#(\w+)\)", text)) <= {name.lower() for name in alert_names()}


def test_every_metric_of_the_rules_is_documented():
    found = {
        metric
        for path in (RECORDING, ALERTS)
        for expression in expressions(path)
        for metric in METRIC.findall(expression)
    }
    assert len(found) > 15, found
    assert found <= documented(), found - documented()


def test_every_recorded_series_that_is_asked_for_is_recorded():
    recorded = set(re.findall(r"- record: (\S+)", RECORDING.read_text("utf-8")))
    asked = set(re.findall(r"\bberth:[a-z0-9_:]+", " ".join(expressions(ALERTS))))
    assert asked <= recorded


def test_the_example_of_targets_names_the_jobs_that_rules_ask_for():
    groups = json.loads((FOLDER / "targets" / "berth.json").read_text("utf-8"))
    jobs = {group["labels"]["job"] for group in groups}
    asked = re.findall(r'job="([^"]+)"', RECORDING.read_text("utf-8") + ALERTS.read_text("utf-8"))
    assert jobs == set(asked) == {"berth-scheduler", "berth-agent", "etcd"}
