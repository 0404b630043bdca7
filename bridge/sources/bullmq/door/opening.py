"""A source's topology -> the link to its Redis."""

from bridge.sources.bullmq.door.cluster import Cluster
from bridge.sources.bullmq.door.guards import Guards
from bridge.sources.bullmq.door.link import Link
from bridge.sources.bullmq.door.pools import pool_by_sentinels, pool_of_url
from bridge.sources.bullmq.door.single import Single
from bridge.topology import Topology


def open_link(topology: Topology, guards: Guards | None = None) -> Link:
    """Nothing is connected to until it is asked."""
    guards = guards or Guards()
    if topology.mode == "cluster":
        return Cluster(topology, guards)
    from_replica = topology.read_from == "replica"
    guard = guards.of("primary" if from_replica else "")
    if topology.mode == "sentinel":
        primary = Single(pool_by_sentinels(topology, of_replica=False), guard)
        replica = pool_by_sentinels(topology, of_replica=True) if from_replica else None
        return Single(replica, guards.of(), primary=primary) if replica is not None else primary
    url, login, tls = topology.url, topology.credentials, topology.tls
    address = url.get_secret_value() if url else ""
    primary = Single(pool_of_url(address, tls=tls, credentials=login), guard)
    if not from_replica:
        return primary
    replica = pool_of_url(address, tls=tls, credentials=login, at=topology.nodes[0])
    return Single(replica, guards.of(), primary=primary)
