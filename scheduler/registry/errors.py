"""How a registry may refuse. Each text names the registry, the image and the way out."""

from berth.errors import NotFoundError, PermissionDeniedError, UpstreamError

WITHOUT_REGISTRY = (
    "use --no-resolve-image to create the service without asking the registry "
    "(its nodes may then run different images)"
)


class RegistryUnreachableError(UpstreamError):
    """The registry did not answer as it should: no connection, bad TLS, 5xx, a false digest.

    Retry later, or go without resolving.
    """


class ImageNotFoundError(NotFoundError):
    """The registry answers, and has no such image. Check the name and the tag."""


class RegistryDeniedError(PermissionDeniedError):
    """The registry wants (other) credentials for this image. Log in and send them along."""
