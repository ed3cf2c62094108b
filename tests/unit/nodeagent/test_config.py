"""The agent's settings: every fault at once, each with its key, its value and the fix."""

import pytest

from berth.config import load_settings
from berth.errors import ConfigError
from nodeagent.config import AgentSettings


def load(env=None, file=None, **flags):
    return load_settings(AgentSettings, file=file, env=env or {}, flags=flags)


def test_flags_win_over_environment_and_environment_over_the_file(tmp_path):
    file = tmp_path / "agent.toml"
    file.write_text(
        'scheduler = ["file:7701"]\nnode_name = "from-file"\ncpus = "1"\nmemory = "1g"\n'
        '[label]\nzone = "a"\n[generic_resource]\nssd = "3"\ngpu = "u1 u2"\n'
    )
    env = {"BERTH_NODE_NAME": "from-env", "BERTH_CPUS": "2", "BERTH_SCHEDULER": "e1:1,e2:2"}
    settings = load(env, file, cpus="4")
    assert (settings.node_name, settings.cpus) == ("from-env", "4")
    assert settings.scheduler == ("e1:1", "e2:2")
    assert settings.label == {"zone": "a"}
    generic = settings.generic()
    assert (generic.generic_counts, generic.generic_names) == ({"ssd": 3}, {"gpu": ("u1", "u2")})
    offered = settings.offered()
    assert (offered.nano_cpus, offered.memory_bytes) == (4 * 10**9, 2**30)
    assert settings.tls.settings() is None


@pytest.mark.parametrize(
    ("flags", "key", "words"),
    [
        pytest.param({"scheduler": ()}, "scheduler", "HOST:PORT", id="no scheduler"),
        pytest.param({"scheduler": ("host",)}, "scheduler", "write host:7701", id="no port"),
        pytest.param({"scheduler": ("h:70000",)}, "scheduler", "h:70000", id="no such port"),
        pytest.param({"node_name": "no spaces"}, "node_name", "no spaces", id="name"),
        pytest.param({"cpus": "two", "memory": "1g"}, "cpus", "two", id="cpus"),
        pytest.param({"cpus": "2"}, "memory", "together", id="cpus without memory"),
        pytest.param({"cpus": "2", "memory": "1x"}, "memory", "1x", id="memory"),
        pytest.param({"generic_resource": {"gpu": "a a"}}, "gpu", "twice", id="a unit twice"),
        pytest.param({"generic_resource": {"gpu": ""}}, "gpu", "count nor names", id="no units"),
        pytest.param({"parallel.pulls": 0}, "parallel.pulls", "at least 1", id="no pulls"),
        pytest.param({"tls.ca_file": "/ca.crt"}, "tls", "cert_file", id="half of TLS"),
    ],
)
def test_what_is_refused(flags, key, words):
    with pytest.raises(ConfigError) as refused:
        load(**{"scheduler": ("s:7701",), **flags})
    assert key in refused.value.message
    assert words in refused.value.message


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError) as refused:
        load(scheduler=("x",), node_name="a b", cpus="1")
    assert len(refused.value.faults) == 3
