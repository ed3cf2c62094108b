"""Which user may do what: the one table, for the Docker API and for the Control API.

Duty: the roles of users, and the role that each route of Docker's API and each call of
control.proto needs. Pure. Not here: who somebody is (berth.wire.tls), refusing at a door
(gateway.doors, scheduler.control.router).

Whoever may deploy can mount a node's folders into a container, and so is master of the nodes;
`viewer` and `admin` differ from it in what they can do to the cluster itself.

Invariants (tests/unit/berth/test_access.py): every route of the gateway and every call of
control.proto stands here, and nothing else does; what does not stand here needs an administrator.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class UserRole(StrEnum):
    """What the bearer of a client's certificate may do; each may what the ones before it may."""

    VIEWER = "viewer"
    """Look at everything that the cluster tells, logs too."""
    DEPLOYER = "deployer"
    """Change services and what belongs to them."""
    ADMIN = "admin"
    """Change nodes and the cluster too."""

    def allows(self, needed: "UserRole") -> bool:
        """Return whether a bearer of this role may do what needs the role `needed`."""
        return _RANKS[self] >= _RANKS[needed]


_RANKS: Final = {role: rank for rank, role in enumerate(UserRole)}
_VIEW, _DEPLOY, _ADMIN = UserRole.VIEWER, UserRole.DEPLOYER, UserRole.ADMIN

CONTROL_CALLS: Final[Mapping[str, UserRole]] = {
    "CreateService": _DEPLOY,
    "UpdateService": _DEPLOY,
    "RemoveService": _DEPLOY,
    "GetService": _VIEW,
    "ListServices": _VIEW,
    "ListTasks": _VIEW,
    "StreamTasks": _VIEW,
    "ListNodes": _VIEW,
    "GetNode": _VIEW,
    "UpdateNode": _ADMIN,
    "RemoveNode": _ADMIN,
    "Explain": _VIEW,
    "GetCluster": _VIEW,
    "UpdateCluster": _ADMIN,
    "ResolveImage": _DEPLOY,  # It lets the scheduler speak to whatever host a name means.
    "ServiceLogs": _VIEW,
    "WatchEvents": _VIEW,
    "CreateFile": _DEPLOY,
    "UpdateFile": _DEPLOY,
    "RemoveFile": _DEPLOY,
    "GetFile": _VIEW,
    "ListFiles": _VIEW,
    "CreateNetwork": _DEPLOY,
    "ListNetworks": _VIEW,
    "RemoveNetwork": _DEPLOY,
}

DOCKER_ROUTES: Final[Mapping[str, UserRole]] = {
    "GET /_ping": _VIEW,
    "GET /version": _VIEW,
    "GET /info": _VIEW,
    "GET /events": _VIEW,
    "GET /distribution/{name:path}/json": _DEPLOY,
    # Services and tasks.
    "GET /services": _VIEW,
    "POST /services/create": _DEPLOY,
    "GET /services/{id}": _VIEW,
    "DELETE /services/{id}": _DEPLOY,
    "POST /services/{id}/update": _DEPLOY,
    "GET /services/{id}/logs": _VIEW,
    "GET /tasks": _VIEW,
    "GET /tasks/{id}": _VIEW,
    "GET /tasks/{id}/logs": _VIEW,
    # What services use.
    "GET /networks": _VIEW,
    "GET /networks/{id}": _VIEW,
    "POST /networks/create": _DEPLOY,
    "DELETE /networks/{id}": _DEPLOY,
    "GET /configs": _VIEW,
    "POST /configs/create": _DEPLOY,
    "GET /configs/{id}": _VIEW,
    "DELETE /configs/{id}": _DEPLOY,
    "POST /configs/{id}/update": _DEPLOY,
    "GET /secrets": _VIEW,  # Of a secret nobody is shown more than its name and labels.
    "POST /secrets/create": _DEPLOY,
    "GET /secrets/{id}": _VIEW,
    "DELETE /secrets/{id}": _DEPLOY,
    "POST /secrets/{id}/update": _DEPLOY,
    # Nodes and the cluster.
    "GET /nodes": _VIEW,
    "GET /nodes/{id}": _VIEW,
    "DELETE /nodes/{id}": _ADMIN,
    "POST /nodes/{id}/update": _ADMIN,
    "GET /swarm": _VIEW,
    "POST /swarm/init": _ADMIN,
    "POST /swarm/join": _ADMIN,
    "POST /swarm/leave": _ADMIN,
    "POST /swarm/update": _ADMIN,
    "POST /swarm/unlock": _ADMIN,
    "GET /swarm/unlockkey": _ADMIN,
    # What a cluster does not do: whoever would be let in is told what to do instead.
    "GET /containers/json": _VIEW,
    "POST /containers/create": _DEPLOY,
    "GET /containers/{id}/{verb}": _VIEW,
    "POST /containers/{id}/{verb}": _DEPLOY,
    "DELETE /containers/{id}": _DEPLOY,
    "GET /images/json": _VIEW,
    "POST /images/create": _DEPLOY,
    "GET /images/{id:path}/json": _VIEW,
    "GET /images/{rest:path}": _VIEW,
    "POST /images/{rest:path}": _DEPLOY,
    "DELETE /images/{rest:path}": _DEPLOY,
    "POST /commit": _DEPLOY,
    "POST /networks/{id}/connect": _DEPLOY,
    "POST /networks/{id}/disconnect": _DEPLOY,
    "GET /plugins/{rest:path}": _VIEW,
    "POST /plugins/{rest:path}": _DEPLOY,
    "DELETE /plugins/{rest:path}": _DEPLOY,
    "POST /build": _DEPLOY,
    "GET /volumes": _VIEW,
    "POST /volumes/create": _DEPLOY,
    "GET /volumes/{id}": _VIEW,
    "DELETE /volumes/{id}": _DEPLOY,
    "POST /containers/prune": _DEPLOY,
    "POST /images/prune": _DEPLOY,
    "POST /networks/prune": _DEPLOY,
    "POST /volumes/prune": _DEPLOY,
    "POST /build/prune": _DEPLOY,
    "GET /system/df": _VIEW,
    "POST /auth": _DEPLOY,
    "GET /plugins": _VIEW,
    "GET /plugins/{id:path}/json": _VIEW,
}


def needed_for_call(name: str) -> UserRole:
    """Return the role that a call of control.proto needs."""
    return CONTROL_CALLS.get(name, UserRole.ADMIN)


def needed_for_route(method: str, path: str) -> UserRole:
    """Return the role that a route of the gateway needs.

    Args:
        method: HTTP's; HEAD needs what GET needs.
        path: as the route is written, without a version.
    """
    return DOCKER_ROUTES.get(f"{'GET' if method == 'HEAD' else method} {path}", UserRole.ADMIN)


def refusal_words(name: str, role: UserRole, needed: UserRole, what: str) -> str:
    """Return what somebody is told who may not do `what`."""
    return (
        f'"{name}" may not use {what}: its certificate has the role {role}, and that needs the '
        f"role {needed}; ask whoever keeps the cluster's authority for such a certificate "
        f"(berth certificate issue {needed} {name})"
    )
