"""The cluster as users are shown it: who leads, who stands by, how the store fares.

Not here: views of services, tasks and nodes (views), who answers (forward).
"""

from berth.v1 import control_pb2 as pb
from berth.wire.convert import write_proto
from scheduler.control.leader_directory import LeaderDirectory
from scheduler.leader import Leader
from scheduler.store.port import StoreHealth


def cluster_view(leader: Leader, directory: LeaderDirectory, health: StoreHealth) -> pb.Cluster:
    """Return the view of a cluster that `leader`, which is this process's, leads or led last."""
    cluster = leader.state.cluster
    leads = not leader.is_over  # Else it is shown for what it knew last.
    view = pb.Cluster(
        id=cluster.id,
        version=cluster.version,
        epoch=leader.epoch,
        leader_name=directory.own_name if leads else "",
        leader_address=directory.own_address if leads else "",
        store_state=health.state.value,
        store_message=health.last_error,
        created_at=cluster.created_at,
    )
    write_proto(cluster.settings, view.settings)
    # While a candidate's lost lease has yet to run out, it may stand twice.
    standing = {(info.name, info.address): info for info in directory.candidates}
    for _, info in sorted(standing.items(), key=lambda item: item[0]):
        view.schedulers.add(
            name=info.name,
            address=info.address,
            is_leader=leads and info.address == directory.own_address,
            http_address=info.http_address,
        )
    return view
