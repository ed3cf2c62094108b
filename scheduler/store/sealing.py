"""Encrypt what must not lie readable in etcd: secrets and registry credentials.

Duty: seal and open small byte strings with AES-256-GCM, bound to the place where they lie; read
and make key files; let keys be changed while records of the old ones are about.
Not here: which records are sealed (scheduler.store.records).
Invariants (tests/unit/scheduler/store/test_sealing.py, tests/property/test_sealing.py): what was
sealed for one place opens in no other; no changed bit is overlooked; no error quotes a key or
what was sealed.

A sealed string is: version (1 byte), key id (4), nonce (12), ciphertext and tag. Nonces are
random, which is safe for some four thousand million seals by one key.
"""

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from berth.entropy import Entropy
from berth.errors import AlreadyExistsError, ConfigError, Fault, InternalError

KEY_BYTES: Final = 32
_VERSION: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_HEADER_BYTES: Final = len(_VERSION) + _KEY_ID_BYTES
_SETTING: Final = "key_file"


class UnsealError(InternalError):
    """Something sealed cannot be opened: another key, another place, or damage.

    Give the scheduler the key file with which it was sealed; otherwise it is lost and must be
    created anew.
    """


class Sealer:
    """Seals with the first of its keys and opens with any of them."""

    def __init__(self, keys: Sequence[bytes], entropy: Entropy) -> None:
        assert keys, "a sealer needs a key"
        assert all(len(key) == KEY_BYTES for key in keys)
        self._ciphers = {_key_id(key): AESGCM(key) for key in reversed(keys)}
        self._first = _key_id(keys[0])
        self._entropy = entropy

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt `plaintext` so that it opens only with the same `context`.

        Args:
            plaintext: what is secret.
            context: names the place where it will lie, such as the record's key in the store.
        """
        header = _VERSION + self._first
        nonce = self._entropy.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(nonce, plaintext, header + context)
        return header + nonce + sealed

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return what was sealed for `context`.

        Raises:
            UnsealError: it cannot be opened; the text says which of the reasons it is.
        """
        place = context.decode(errors="replace")
        header, rest = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        if len(rest) < _NONCE_BYTES + _TAG_BYTES:
            raise UnsealError(
                f'"{place}" holds {len(sealed)} bytes, too few for anything sealed; create it anew'
            )
        if header[:1] != _VERSION:
            raise UnsealError(
                f'"{place}" is sealed in form {header[0]}, which this version does not know; '
                "run the version of Berth that wrote it"
            )
        key_id = header[1:]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnsealError(
                f'"{place}" is sealed with key {key_id.hex()}, and the key file has '
                f"{', '.join(sorted(known.hex() for known in self._ciphers))}; "
                "add the old key to the key file, below the new one"
            )
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header + context)
        except InvalidTag as error:
            raise UnsealError(
                f'"{place}" is damaged, or was moved there from another place; create it anew'
            ) from error

    def is_current(self, sealed: bytes) -> bool:
        """Tell whether it is sealed with the first key; if not, seal it again when convenient."""
        return sealed[:_HEADER_BYTES] == _VERSION + self._first


def load_keys(path: Path) -> tuple[bytes, ...]:
    """Read a key file: one key of 32 bytes a line in base64 or hexadecimal, or one raw key.

    The first key seals, all open. Lines that begin with # are comments.

    Raises:
        ConfigError: the file cannot be used; it names the file, the problem and the fix.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read()
    except OSError as error:
        raise _wrong(
            path, f"cannot be read ({error.strerror}); name another or create it"
        ) from error
    if mode & 0o037:  # A group may read it: how some secret stores hand files to a service.
        raise _wrong(path, f"has mode {mode:04o}, open to others; run chmod 600 {path}")
    if len(content) == KEY_BYTES:
        return (content,)
    keys: list[bytes] = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        key = _key_from_text(text)
        if key is None:
            raise _wrong(
                path, f"has no key of {KEY_BYTES} bytes in base64 or hexadecimal in line {number}"
            )
        if key in keys:
            raise _wrong(path, f"has the same key twice, again in line {number}; remove that line")
        keys.append(key)
    if not keys:
        raise _wrong(path, "has no key; restore it, or remove it to have one created")
    if len({_key_id(key) for key in keys}) != len(keys):
        raise _wrong(path, "has two keys with the same id; replace the newer one")
    return tuple(keys)


def create_key_file(path: Path, entropy: Entropy) -> tuple[bytes, ...]:
    """Make a key file with one new key, readable by its owner only, and return its keys.

    Raises:
        AlreadyExistsError: there is one; what it sealed would be lost.
        ConfigError: the file cannot be written.
    """
    key = entropy.token_bytes(KEY_BYTES)
    unfinished = path.with_name(f".{path.name}.{entropy.token_bytes(4).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"# Berth's key for secrets at rest. Keep a copy: lost, so are they.\n")
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _wrong(path, f"cannot be created ({error.strerror}); name another") from error
    try:
        path.hardlink_to(unfinished)  # Whole or not at all, and never over another's.
    except FileExistsError as error:
        raise AlreadyExistsError(f'key file "{path}" exists: use it, or name another') from error
    except OSError as error:
        raise _wrong(path, f"cannot be created ({error.strerror}); name another") from error
    finally:
        unfinished.unlink()
    return (key,)


def _key_from_text(text: bytes) -> bytes | None:
    try:
        if len(text) == 2 * KEY_BYTES:
            key = binascii.unhexlify(text)
        else:
            unified = text.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
            key = base64.b64decode(unified + b"=" * (-len(unified) % 4), validate=True)
    except binascii.Error:
        return None
    return key if len(key) == KEY_BYTES else None


def _key_id(key: bytes) -> bytes:
    """Name a key without telling anything of it."""
    return hashlib.sha256(b"berth key id\0" + key).digest()[:_KEY_ID_BYTES]


def _wrong(path: Path, problem: str) -> ConfigError:
    return ConfigError(f'key file "{path}" {problem}', [Fault(_SETTING, f'"{path}" {problem}')])
