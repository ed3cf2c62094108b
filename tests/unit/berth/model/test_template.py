"""Go-template fields: what they become, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.errors import InvalidRequestError
from berth.model.template import (
    TemplateValues,
    check_payload_template,
    check_template,
    expand_payload,
    expand_template,
)

VALUES = TemplateValues(
    service_id="svc1",
    service_name="web",
    service_labels={"tier": "front", "com.example/zone": "a b", "empty": ""},
    node_id="node1",
    node_hostname="host-7",
    node_os="linux",
    node_architecture="amd64",
    task_id="task1",
    task_name="web.3.task1",
    task_slot="3",
)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        pytest.param("plain } text {", "plain } text {", id="plain text is left alone"),
        pytest.param("{{.Service.ID}}", "svc1", id="service id"),
        pytest.param("{{.Service.Name}}", "web", id="service name"),
        pytest.param("{{.Node.ID}}", "node1", id="node id"),
        pytest.param("{{.Node.Hostname}}", "host-7", id="node hostname"),
        pytest.param("{{.Node.Platform.OS}}", "linux", id="operating system"),
        pytest.param("{{.Node.Platform.Architecture}}", "amd64", id="architecture"),
        pytest.param("{{.Node.Platform}}", "{amd64 linux}", id="a struct prints as Go prints it"),
        pytest.param("{{.Task.ID}}", "task1", id="task id"),
        pytest.param("{{.Task.Name}}", "web.3.task1", id="task name"),
        pytest.param("{{.Task.Slot}}", "3", id="slot"),
        pytest.param("a{{ .Task.Slot }}b{{\t.Node.ID\n}}c", "a3bnode1c", id="white space inside"),
        pytest.param("a \n{{- .Task.Slot -}} \n b", "a3b", id="trim markers take white space away"),
        pytest.param("a {{- .Task.Slot }} b", "a3 b", id="only the side that is asked for"),
        pytest.param("{{.Service.Labels.tier}}", "front", id="a label by its plain name"),
        pytest.param("{{.Service.Labels.none}}", "<no value>", id="a missing label as a field"),
        pytest.param(
            '{{index .Service.Labels "com.example/zone"}}', "a b", id="a label by its key"
        ),
        pytest.param("{{index .Service.Labels `tier`}}", "front", id="a key in back quotes"),
        pytest.param('x{{index .Service.Labels "none"}}y', "xy", id="a missing label by index"),
        pytest.param(
            "{{.Service.Labels}}",
            "map[com.example/zone:a b empty: tier:front]",
            id="all labels, sorted",
        ),
        pytest.param('{{"{{"}}.x}}', "{{.x}}", id="braces as a literal"),
        pytest.param('{{"a\\"}}\\n"}}', 'a"}}\n', id="a literal may hold closing braces"),
        pytest.param("a{{/* }} a remark */}}b", "ab", id="a comment is left out"),
        pytest.param("}}{{.Task.Slot}}{{.Task.Slot}}", "}}33", id="side by side"),
    ],
)
def test_expand_template(text, expanded):
    check_template(text)
    assert expand_template(text, VALUES) == expanded


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("{{.Service.Nmae}}", '".Service.Nmae"', id="an unknown field"),
        pytest.param("{{.Service}}", '".Service"', id="a whole object"),
        pytest.param("{{.Node.Platform.Cpu}}", '".Node.Platform.Cpu"', id="an unknown part"),
        pytest.param("x{{.Task.Slot", '"{{.Task.Slot"', id="not closed"),
        pytest.param('{{index .Service.Labels "a}}', "is not closed", id="a quote not closed"),
        pytest.param("{{/* x }}", "is not closed", id="a comment not closed"),
        pytest.param("{{}}", "unknown expression", id="an empty action"),
        pytest.param("{{env `HOME`}}", '"env `HOME`"', id="a function that is not there"),
        pytest.param("{{.Task.Slot | printf}}", "printf", id="a pipeline"),
    ],
)
def test_what_cannot_be_filled_in_is_refused_by_name(text, named):
    with pytest.raises(InvalidRequestError) as refusal:
        check_template(text)
    assert named in str(refusal.value)
    with pytest.raises(InvalidRequestError):
        expand_template(text, VALUES)


@pytest.mark.parametrize(
    ("payload", "expanded"),
    [
        pytest.param(b"a {{.Service.Name}} b", b"a web b", id="a field"),
        pytest.param(b'{{ env `HOME` }}|{{secret "pw"}}', b"env HOME|secret pw", id="functions"),
        pytest.param(b"{{- config `c` -}} x", b"config cx", id="trimmed"),
        pytest.param("ü {{`{{`}}".encode(), "ü {{".encode(), id="other text"),
    ],
)
def test_payloads_have_functions_too(payload, expanded):
    functions = {
        name: lambda argument, name=name: f"{name} {argument}"
        for name in ("env", "secret", "config")
    }
    check_payload_template(payload)
    values = TemplateValues(service_name="web", functions=functions)
    assert expand_payload(payload, values) == expanded


@pytest.mark.parametrize("payload", [b"\xff", b"{{if .A}}", b"{{env HOME}}", b"{{secret `a`"])
def test_payloads_that_cannot_be_filled_in_are_refused(payload):
    with pytest.raises(InvalidRequestError):
        check_payload_template(payload)


def test_values_are_not_read_as_templates():
    values = TemplateValues(service_name="{{.Task.ID}}", task_id="secret")
    assert expand_template("{{.Service.Name}}", values) == "{{.Task.ID}}"


@given(st.text(alphabet='{}"`-/* .aIDTaskindex\\', max_size=40))
def test_any_text_is_either_expanded_or_refused(text):
    try:
        check_template(text)
    except InvalidRequestError:
        with pytest.raises(InvalidRequestError):
            expand_template(text, VALUES)
    else:
        assert isinstance(expand_template(text, VALUES), str)
