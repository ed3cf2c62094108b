"""Configs and secrets as Docker's clients read and write them. Pure.

Invariant (tests/unit/gateway/translate/test_files.py): what is written of a secret has no Data.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from berth.model.files import FileKind
from berth.views import FileView
from gateway.translate.reading import Faults, Struct
from gateway.translate.writing import time_text


@dataclass(frozen=True, slots=True)
class SentFile:
    """A ConfigSpec or SecretSpec; `data` is None where none was sent."""

    name: str
    labels: Mapping[str, str]
    template_driver: str
    data: bytes | None = field(repr=False)


def read_file_spec(document: Any, kind: FileKind) -> SentFile:
    """Return what a client wants of a config or secret.

    Raises:
        InvalidRequestError: lists every fault; none quotes what it holds.
    """
    faults = Faults()
    spec = Struct(document, "", faults)
    name, labels = spec.text("Name"), spec.text_map("Labels")
    driver = spec.struct("Driver").text("Name")
    if driver:
        spec.fault(
            "Driver", f'"{driver}": secrets of other stores are not supported; send the data'
        )
    templating = spec.struct("Templating")
    if templating.has("Options") and templating.text_map("Options"):
        templating.fault("Options", "are not supported; leave them out")
    data = (_decoded(spec) or None) if spec.has("Data") else None  # Go cannot send an empty one.
    faults.check(f'{kind.value} "{name}"')
    return SentFile(name, labels, templating.text("Name"), data)


def _decoded(spec: Struct) -> bytes:
    text = spec.text("Data")
    try:
        # Docker says base64url, its clients send the standard alphabet; both are taken.
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        spec.fault("Data", "is not base64")
        return b""


def write_file(file: FileView) -> dict[str, Any]:
    """Return a config or secret; a config's Data where the answer is about it alone."""
    spec: dict[str, Any] = {"Name": file.name, "Labels": dict(file.labels)}
    if file.kind is FileKind.CONFIG and file.data is not None:
        spec["Data"] = base64.b64encode(file.data).decode()
    if file.template_driver:
        spec["Templating"] = {"Name": file.template_driver}
    return {
        "ID": file.id,
        "Version": {"Index": file.version},
        "CreatedAt": time_text(file.created_at),
        "UpdatedAt": time_text(file.updated_at),
        "Spec": spec,
    }
