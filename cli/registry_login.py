"""Credentials that `docker login` stored on this machine.

Duty: find, in Docker's config.json, what belongs to the registry of an image.
Not here: the credentials' own forms (berth.model.registry_auth); credential helpers, which are
programs of the user's desktop: where config.json has none of its own, nothing is sent, and said.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from berth.errors import ConfigError
from berth.model.image import DEFAULT_REGISTRY, ImageReference
from berth.model.registry_auth import RegistryAuth

_HUB_HOSTS: Final = ("index.docker.io", "docker.io")


def config_path(env: Mapping[str, str]) -> Path:
    """Return where Docker's config.json is."""
    folder = env.get("DOCKER_CONFIG")
    return Path(folder) if folder else Path(env.get("HOME") or Path.home()) / ".docker"


def login_for(image: str, env: Mapping[str, str]) -> RegistryAuth | None:
    """Return the stored credentials for `image`'s registry, None when there are none.

    Raises:
        ConfigError: config.json cannot be read.
        InvalidRequestError: `image` is not a reference.
    """
    path = config_path(env) / "config.json"
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f'cannot read "{path}": {error}; run docker login again') from None
    return find_login(document, image)


def find_login(document: Mapping[str, Any], image: str) -> RegistryAuth | None:
    """Return the credentials for `image` in the content of a config.json."""
    registry = ImageReference.from_text(image).registry
    hosts = _HUB_HOSTS if registry == DEFAULT_REGISTRY else (registry,)
    auths = document.get("auths") or {}
    for written, entry in auths.items():
        host = written.removesuffix("/").removesuffix("/v1").removesuffix("/v2")
        if not entry or host.removeprefix("https://") not in hosts:
            continue
        # config.json's own names, in the form that RegistryAuth reads.
        auth = RegistryAuth.from_header(_header(entry))
        if not auth.is_anonymous:
            return replace(auth, server_address=registry)
    return None


def _header(entry: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(dict(entry)).encode()).decode()
