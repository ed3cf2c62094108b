"""What `berth-scheduler --check-config` finds, before the start would."""

from click.testing import CliRunner

from scheduler.main import main

WRONG = """
name = ""
grpc_listen = "nope"
[etcd]
endpoints = ["http://m1"]
prefix = "berth"
lease_ttl_s = 1
[tls]
ca_file = "/etc/berth/ca.crt"
[registry]
insecure_registries = ["10.0.0.0/99"]
"""


def test_all_faults_are_told_at_once(tmp_path):
    file = tmp_path / "scheduler.toml"
    file.write_text(WRONG)
    result = CliRunner().invoke(main, ["--config", str(file), "--check-config"])
    assert result.exit_code == 1
    told = {line.strip().partition(":")[0] for line in result.output.splitlines()[1:]}
    assert told == {
        "name",
        "grpc_listen",
        "etcd.endpoints",
        "etcd.prefix",
        "etcd.lease_ttl_s",
        "tls.cert_file",
        "tls.key_file",
        "registry.insecure_registries",
    }


def test_no_member_of_etcd_is_a_fault(tmp_path):
    file = tmp_path / "scheduler.toml"
    file.write_text("[etcd]\nendpoints = []\n")
    result = CliRunner().invoke(main, ["--config", str(file), "--check-config"])
    assert result.exit_code == 1
    assert "etcd.endpoints: is empty" in result.output
