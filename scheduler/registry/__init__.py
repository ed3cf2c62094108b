"""Ask image registries which image a reference means."""

from scheduler.registry.errors import (
    ImageNotFoundError,
    RegistryDeniedError,
    RegistryUnreachableError,
)
from scheduler.registry.resolve import ImageResolver, ResolvedImage
from scheduler.registry.transport import RegistrySettings

__all__ = [
    "ImageNotFoundError",
    "ImageResolver",
    "RegistryDeniedError",
    "RegistrySettings",
    "RegistryUnreachableError",
    "ResolvedImage",
]
