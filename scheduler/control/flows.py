"""What happens between a user's request to change something and its durable effect.

Duty: the order of things: read the request, validate all of it, pin the image, seal credentials,
then change the leader's memory in one step. Not here: the rules themselves (validate, pinning,
scheduler.core.commands), gRPC (service, forward), what a dry run says (dry_run).

Asking a registry takes time in which others may change the service; the step that changes memory
notices that and the flow begins again.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

from google.protobuf.message import Message

from berth.entropy import Entropy
from berth.errors import (
    Fault,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    OutOfSequenceError,
)
from berth.model.cluster import ClusterSettings
from berth.model.ids import NodeId, ServiceId, new_service_id
from berth.model.node import Availability, Node, NodeSpec
from berth.model.registry_auth import RegistryAuth
from berth.model.service import ServiceSpec
from berth.v1 import control_pb2 as pb
from berth.wire.convert import from_proto, to_proto, write_proto
from scheduler.control.credentials import open_credentials, seal_credentials
from scheduler.control.dry_run import plan_create, plan_rollback, plan_update
from scheduler.control.durable import perform
from scheduler.control.pinning import Resolver, pinned_spec, plan_pin
from scheduler.control.room import SPEC_BYTES_MAX, check_room
from scheduler.control.validate import validate_spec
from scheduler.core import commands
from scheduler.core.files import resolve_references
from scheduler.core.networks import with_named_networks
from scheduler.core.now import Now
from scheduler.core.service_record import ServiceRecord, roll_back, update_spec
from scheduler.core.state import LeaderState
from scheduler.leader import Leader
from scheduler.store.port import StoreHealth
from scheduler.store.sealing import Sealer

T = TypeVar("T")

_ATTEMPTS_MAX: Final = 5
_AUTH_SOURCES: Final = ("", "spec", "previous-spec")


class _MovedError(Exception):
    """The service was changed while we asked a registry."""


class ControlFlows:
    """Changes that users ask of one leader."""

    def __init__(
        self,
        leader: Leader,
        resolver: Resolver,
        sealer: Sealer | None,
        ids: Entropy,
        store_health: Callable[[], StoreHealth],
    ) -> None:
        self._leader = leader
        self._resolver = resolver
        self._sealer = sealer
        self._ids = ids
        self._store_health = store_health

    async def create_service(self, request: pb.CreateServiceRequest) -> pb.CreateServiceResponse:
        """Create a service, or say what creating it would do.

        A repeated create is refused with AlreadyExistsError: names are unique.
        """
        spec = _read(ServiceSpec, request.spec, "service")
        spec = with_named_networks(self._leader.state, spec, None)
        spec, unknown = resolve_references(self._leader.state.files, spec)
        warnings = _check_spec(spec, request.spec, None, unknown)
        commands.check_new_name(self._leader.state, spec.name)
        auth = _auth_of(request)
        service_id = new_service_id(self._ids.new_id())
        sealed = seal_credentials(self._sealer, auth, service_id)
        pin = plan_pin(spec, None, no_resolve=request.no_resolve_image, resolve=False)
        spec, pin_warnings = await pinned_spec(pin, spec, None, self._resolver, auth)
        warnings += pin_warnings
        if request.dry_run:
            commands.check_new_name(self._leader.state, spec.name)
            plan = plan_create(self._leader.state, service_id, spec)
            return pb.CreateServiceResponse(warnings=warnings, plan=plan)

        def create(state: LeaderState, now: Now) -> ServiceRecord:
            with_named_networks(state, spec, None)  # One may have been removed meanwhile.
            return commands.create_service(state, service_id, spec, sealed, now)

        record = await self._perform(create)
        return pb.CreateServiceResponse(id=record.id, warnings=warnings)

    async def update_service(self, request: pb.UpdateServiceRequest) -> pb.UpdateServiceResponse:
        """Replace a service's spec or roll it back, or say what that would do."""
        if request.registry_auth_from not in _AUTH_SOURCES:
            raise InvalidRequestError(
                f'registry_auth_from is "{request.registry_auth_from}"; use spec or previous-spec'
            )
        if request.rollback:
            return await self._roll_back(request)
        spec = _read(ServiceSpec, request.spec, "service")
        for _ in range(_ATTEMPTS_MAX):
            try:
                return await self._update_once(request, spec)
            except _MovedError:
                continue
        raise OutOfSequenceError(
            f'update out of sequence: service "{request.name}" was changed by others again and '
            "again meanwhile; read it again and repeat the change"
        )

    async def _update_once(
        self, request: pb.UpdateServiceRequest, spec: ServiceSpec
    ) -> pb.UpdateServiceResponse:
        before = commands.find_service(self._leader.state, request.name).record
        commands.check_version(before, request.version)
        spec = spec if spec.name else replace(spec, name=before.spec.name)
        spec = with_named_networks(self._leader.state, spec, before.spec)
        spec, unknown = resolve_references(self._leader.state.files, spec)
        warnings = _check_spec(spec, request.spec, before.spec, unknown)
        auth = _auth_of(request)
        if auth is not None:
            sealed = seal_credentials(self._sealer, auth, before.id)
        else:
            is_previous = request.registry_auth_from == "previous-spec"
            sealed = before.previous_sealed_auth if is_previous else before.sealed_auth
        pin = plan_pin(
            spec,
            before.spec,
            no_resolve=request.no_resolve_image,
            resolve=request.resolve_image,
        )
        if auth is None and pin.asks_registry:
            auth = open_credentials(self._sealer, sealed, before.id.encode())
        spec, pin_warnings = await pinned_spec(pin, spec, before.spec, self._resolver, auth)
        warnings += pin_warnings
        if request.dry_run:
            after = update_spec(before, spec, self._leader.now().timestamp, sealed)
            plan = plan_update(self._leader.state, before.id, after)
            return pb.UpdateServiceResponse(version=before.version, warnings=warnings, plan=plan)

        def update(state: LeaderState, now: Now) -> ServiceRecord:
            service = state.services.get(before.id)
            if service is None or service.record.is_removing:
                raise NotFoundError(f'service "{before.spec.name}" was removed meanwhile')
            if service.record.version != before.version:
                raise _MovedError
            with_named_networks(state, spec, before.spec)
            check_room(service, update_spec(service.record, spec, now.timestamp, sealed))
            return commands.update_service(state, service, spec, request.version, sealed, now)

        record = await self._perform(update)
        return pb.UpdateServiceResponse(version=record.version, warnings=warnings)

    async def _roll_back(self, request: pb.UpdateServiceRequest) -> pb.UpdateServiceResponse:
        before = commands.find_service(self._leader.state, request.name).record
        if request.dry_run:
            commands.check_version(before, request.version)
            after = roll_back(before, self._leader.now().timestamp, "manually requested rollback")
            plan = plan_rollback(self._leader.state, before.id, after)
            return pb.UpdateServiceResponse(version=before.version, plan=plan)

        def roll(state: LeaderState, now: Now) -> ServiceRecord:
            service = commands.find_service(state, request.name)
            commands.check_version(service.record, request.version)
            check_room(service, roll_back(service.record, now.timestamp, ""))
            return commands.roll_back_service(state, service, request.version, now)

        record = await self._perform(roll)
        return pb.UpdateServiceResponse(version=record.version)

    async def remove_service(self, request: pb.RemoveServiceRequest) -> pb.RemoveServiceResponse:
        """Remove a service; its tasks stop after the answer."""

        def remove(state: LeaderState, now: Now) -> ServiceId:
            service = commands.find_service(state, request.name)
            commands.remove_service(state, service)
            return service.record.id

        return pb.RemoveServiceResponse(id=await self._perform(remove))

    async def update_node(self, request: pb.UpdateNodeRequest) -> Node:
        """Change what operators set on a node: single things, or the whole spec."""
        spec = _read(NodeSpec, request.spec, "node") if request.HasField("spec") else None
        availability = _availability(request)

        def update(state: LeaderState, now: Now) -> Node:
            node = commands.find_node(state, request.name)
            wanted = spec if spec is not None else node.spec
            labels = commands.changed_labels(
                wanted.labels, request.labels_add, request.labels_remove
            )
            wanted = replace(
                wanted, labels=labels, availability=availability or wanted.availability
            )
            _check_node_spec(node, wanted)
            return commands.update_node(state, node, wanted, request.version, now)

        return await self._perform(update)

    async def remove_node(self, request: pb.RemoveNodeRequest) -> pb.RemoveNodeResponse:
        """Forget a node; one that is connected is told to go."""

        def remove(state: LeaderState, now: Now) -> NodeId:
            node = commands.find_node(state, request.name)
            commands.remove_node(state, node, now, force=request.force)
            # At once: nothing of its session may reach memory that knows the node no more.
            self._leader.desk.expel(node.id)
            return node.id

        return pb.RemoveNodeResponse(id=await self._perform(remove))

    async def update_cluster(self, request: pb.UpdateClusterRequest) -> None:
        """Replace the cluster's settings and tell them to every agent."""
        settings = _read(ClusterSettings, request.settings, "cluster")

        def update(state: LeaderState, now: Now) -> None:
            commands.update_settings(state, settings, request.version)

        await self._perform(update)
        self._leader.desk.tell_settings()

    async def resolve_image(self, request: pb.ResolveImageRequest) -> pb.ResolveImageResponse:
        """Ask a registry which image a reference means; changes nothing."""
        found = await self._resolver.resolve(request.image, _auth_of(request))
        answer = pb.ResolveImageResponse(
            pinned=found.reference_pinned,
            digest=found.digest,
            media_type=found.media_type,
            size=found.size_bytes,
        )
        for platform in found.platforms:
            write_proto(platform, answer.platforms.add())
        return answer

    async def _perform(self, change: Callable[[LeaderState, Now], T]) -> T:
        return await perform(self._leader, self._store_health, change)


def _read(kind: type[T], message: Message, what: str) -> T:
    """Read what a user sent; a word that we do not know is the user's fault, not ours."""
    try:
        return from_proto(kind, message)
    except InternalError as error:
        raise InvalidRequestError(f"invalid {what}: {error.message}") from error


def _check_spec(
    spec: ServiceSpec, sent: Message, previous: ServiceSpec | None, unknown: list[Fault]
) -> list[str]:
    """Return the warnings for a spec that may be used; `unknown` are faults found before.

    Raises:
        InvalidRequestError: lists every fault.
    """
    faults, warnings = validate_spec(spec, previous=previous)
    faults += unknown
    size_bytes = sent.ByteSize()
    if size_bytes > SPEC_BYTES_MAX:
        faults.append(
            Fault(
                "spec",
                f"is {size_bytes} bytes long; use at most {SPEC_BYTES_MAX}, and move large values "
                "into files that are mounted",
            )
        )
    if faults:
        raise InvalidRequestError.from_faults(f'service "{spec.name}"', faults)
    return warnings


def _auth_of(
    request: pb.CreateServiceRequest | pb.UpdateServiceRequest | pb.ResolveImageRequest,
) -> RegistryAuth | None:
    if not request.HasField("registry_auth"):
        return None
    auth = from_proto(RegistryAuth, request.registry_auth)
    return None if auth.is_anonymous else auth


def _availability(request: pb.UpdateNodeRequest) -> Availability | None:
    if not request.HasField("availability"):
        return None
    try:
        return Availability(request.availability)
    except ValueError:
        words = ", ".join(member.value for member in Availability)
        raise InvalidRequestError(
            f'availability "{request.availability}" does not exist; use one of {words}'
        ) from None


def _check_node_spec(node: Node, spec: NodeSpec) -> None:
    faults = [
        Fault("labels", f'"={value}" has an empty key')
        for key, value in spec.labels.items()
        if not key
    ]
    if spec.role not in ("", "worker"):
        faults.append(
            Fault(
                "role",
                f'"{spec.role}" is refused: every node is a worker, schedulers are programs of '
                "their own; leave the role as it is",
            )
        )
    size_bytes = to_proto(spec).ByteSize()
    if size_bytes > SPEC_BYTES_MAX:
        faults.append(Fault("spec", f"is {size_bytes} bytes long; use at most {SPEC_BYTES_MAX}"))
    if faults:
        raise InvalidRequestError.from_faults(f'node "{node.description.hostname}"', faults)
