import base64
import stat

import pytest

from berth.entropy import SeededEntropy, SystemEntropy
from berth.errors import AlreadyExistsError, ConfigError
from scheduler.store.sealing import Sealer, UnsealError, create_key_file, load_keys

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
PLACE = b"/berth/secrets/abc"
SECRET = b"s3cret"


def sealer(*keys):
    return Sealer(keys, SeededEntropy("sealing"))


def test_what_is_sealed_is_opened_and_not_readable():
    sealed = sealer(OLD).seal(SECRET, PLACE)
    assert sealer(OLD).open(sealed, PLACE) == SECRET
    assert SECRET not in sealed
    assert len(sealed) == 1 + 4 + 12 + len(SECRET) + 16


def test_the_form_of_today_is_still_read_tomorrow():
    # Kept from the first version: a change that cannot open it loses every user's secrets.
    sealed = bytes.fromhex(
        "0182370788de82b1cf34e0812e99a86b7c943200008bbb9d82907f0db4ff03b27befe110b3d46b"
    )
    assert sealer(OLD).open(sealed, PLACE) == SECRET


def test_the_same_secret_is_sealed_differently_each_time():
    one = sealer(OLD)
    assert one.seal(SECRET, PLACE) != one.seal(SECRET, PLACE)


def test_keys_are_changed_without_losing_what_the_old_one_sealed():
    sealed = sealer(OLD).seal(SECRET, PLACE)
    both = sealer(NEW, OLD)
    assert both.open(sealed, PLACE) == SECRET
    assert not both.is_current(sealed)
    again = both.seal(SECRET, PLACE)
    assert both.is_current(again)
    assert sealer(NEW).open(again, PLACE) == SECRET
    with pytest.raises(UnsealError, match="add the old key to the key file"):
        sealer(NEW).open(sealed, PLACE)


def test_another_place_is_refused():
    sealed = sealer(OLD).seal(SECRET, PLACE)
    with pytest.raises(UnsealError, match='"/berth/secrets/xyz" is damaged, or was moved'):
        sealer(OLD).open(sealed, b"/berth/secrets/xyz")


@pytest.mark.parametrize("length", [0, 1, 5, 17, 32])
def test_too_little_is_refused(length):
    sealed = sealer(OLD).seal(SECRET, PLACE)
    with pytest.raises(UnsealError, match=f"holds {length} bytes"):
        sealer(OLD).open(sealed[:length], PLACE)


def test_a_form_of_the_future_is_refused_and_named():
    sealed = b"\x02" + sealer(OLD).seal(SECRET, PLACE)[1:]
    with pytest.raises(UnsealError, match="in form 2"):
        sealer(OLD).open(sealed, PLACE)


def test_a_created_key_file_is_read_back_and_its_owners_alone(tmp_path):
    path = tmp_path / "state" / "key"
    keys = create_key_file(path, SystemEntropy())
    assert load_keys(path) == keys
    assert [len(key) for key in keys] == [32]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(AlreadyExistsError, match=f'"{path}" exists'):
        create_key_file(path, SystemEntropy())
    assert load_keys(path) == keys
    assert list(path.parent.iterdir()) == [path]


def test_a_key_file_that_cannot_be_created_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be created"):
        create_key_file(tmp_path / "file" / "key", SystemEntropy())


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        pytest.param(OLD, (OLD,), id="raw"),
        pytest.param(base64.b64encode(OLD), (OLD,), id="base64"),
        pytest.param(base64.b64encode(OLD).rstrip(b"=") + b"\r\n", (OLD,), id="without padding"),
        pytest.param(base64.urlsafe_b64encode(b"\xfb\xff" * 16), (b"\xfb\xff" * 16,), id="url"),
        pytest.param(OLD.hex().encode(), (OLD,), id="hexadecimal"),
        pytest.param(OLD.hex().upper().encode() + b"\n", (OLD,), id="in capitals"),
        pytest.param(
            b"# new\n" + base64.b64encode(NEW) + b"\n\n# old\n " + OLD.hex().encode() + b"\n",
            (NEW, OLD),
            id="several, with comments",
        ),
    ],
)
def test_every_form_of_key_file_is_read(tmp_path, content, keys):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    assert load_keys(path) == keys


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "has no key; restore it"),
        (b"# only\n", "has no key; restore it"),
        (b"s3cret", "no key of 32 bytes in base64 or hexadecimal in line 1"),
        (b"# new\n" + base64.b64encode(OLD[:31]), "in line 2"),
        (b"zz" * 32, "in line 1"),
        (b"\xff" * 33, "in line 1"),
        (base64.b64encode(OLD) + b"\n" + OLD.hex().encode(), "the same key twice, again in line 2"),
    ],
)
def test_a_key_file_that_is_none_is_said_without_quoting_it(tmp_path, content, problem):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=problem) as caught:
        load_keys(path)
    assert f'key file "{path}"' in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert [fault.path for fault in caught.value.faults] == ["key_file"]


def test_a_key_file_that_is_absent_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file"):
        load_keys(tmp_path / "key")


@pytest.mark.parametrize(
    ("mode", "is_refused"),
    [(0o600, False), (0o400, False), (0o640, False), (0o644, True), (0o660, True), (0o604, True)],
)
def test_a_key_file_that_others_can_read_is_refused(tmp_path, mode, is_refused):
    path = tmp_path / "key"
    path.write_bytes(OLD)
    path.chmod(mode)
    if is_refused:
        with pytest.raises(ConfigError, match=f"has mode {mode:04o}.*run chmod 600"):
            load_keys(path)
    else:
        assert load_keys(path) == (OLD,)
