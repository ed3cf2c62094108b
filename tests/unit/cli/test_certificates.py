"""`berth certificate`: files alone, no scheduler is asked."""

from pathlib import Path

import pytest
from cryptography import x509

from berth.certificates import expiry
from berth.wire.tls import TlsSettings
from cli.main import main


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "authority"
    assert main(["certificate", "authority", str(folder)]) == 0
    return folder


def issue(authority, *argv):
    return main(["certificate", "issue", f"--authority={authority}", *argv])


def test_an_authority_issues_what_every_program_can_use(authority, tmp_path, capsys):
    out = tmp_path / "machine-1"
    capsys.readouterr()
    assert issue(authority, f"--out={out}", "scheduler", "scheduler-1", "10.0.0.1", "host-1") == 0
    printed = [Path(line) for line in capsys.readouterr().out.split()]
    files = TlsSettings(out / "ca.crt", out / "scheduler-1.crt", out / "scheduler-1.key")
    assert printed == [files.cert_file, files.key_file, files.ca_file]
    files.check()
    assert expiry(files.cert_file) < expiry(files.ca_file)


def test_without_a_folder_the_certificate_lies_beside_its_authority(authority):
    assert issue(authority, "agent", "node-1") == 0
    assert (authority / "node-1.key").exists()


def test_a_user_gets_a_role_and_what_docker_reads(authority, capsys):
    assert issue(authority, "viewer", "ann", "--docker") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH={authority / 'ann'}" in said
    certificate = (authority / "ann" / "cert.pem").read_bytes()
    assert certificate == (authority / "ann.crt").read_bytes()
    assert "OU=viewer" in x509.load_pem_x509_certificate(certificate).subject.rfc4514_string()


def test_docker_has_no_use_for_an_agents_certificate(authority, capsys):
    assert issue(authority, "agent", "node-1", "--docker") == 2
    assert "--docker is for users" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        pytest.param(("agent", "ca"), "cannot name the bearer", id="a name that would overwrite"),
        pytest.param(("client", "me", "10.0.0.1:1"), "write it without port", id="a port"),
    ],
)
def test_a_wrong_name_is_refused(authority, capsys, argv, words):
    assert issue(authority, *argv) == 1
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_second_authority_would_disown_the_first(authority, capsys):
    assert main(["certificate", "authority", str(authority)]) == 1
    assert "use that authority" in " ".join(capsys.readouterr().err.split())
