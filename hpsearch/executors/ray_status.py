"""What a cluster's dashboard tells of its nodes and of what runs on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hpsearch.executors.ray_jobs import Jobs


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node that is alive. `cpus` and `gpus`: in use (None before the node has told), and in all. `workers`: process ids of its actors."""

    id: str
    host: str
    is_head: bool
    cpus: tuple[float | None, float]
    gpus: tuple[float | None, float]
    workers: frozenset[int]

    def has(self, worker: str) -> bool:
        """Whether a worker that the ledger names `host:pid` is on it: several nodes of one machine share its name."""
        host, _, pid = worker.rpartition(":")
        return host == self.host and pid.isdecimal() and int(pid) in self.workers


def nodes_seen(jobs: Jobs) -> list[NodeSeen]:
    """The nodes that are alive, the head first."""
    there = jobs.get("/nodes?view=summary")["data"]["summary"]
    report = jobs.get("/api/cluster_status")["data"]["clusterStatus"] or {}
    usage = (report.get("loadMetricsReport") or {}).get("usageByNode") or {}
    workers = _workers(jobs)
    seen = [_node(each["raylet"], usage, workers) for each in there if each.get("raylet", {}).get("state") == "ALIVE"]
    return sorted(seen, key=lambda node: (not node.is_head, node.host, node.id))


def _workers(jobs: Jobs) -> dict[str, set[int]]:
    """Process ids by node."""
    found: dict[str, set[int]] = {}
    path = "/api/v0/actors?limit=10000&filter_keys=state&filter_predicates=%3D&filter_values=ALIVE"
    for actor in jobs.get(path)["data"]["result"]["result"]:
        found.setdefault(actor["node_id"], set()).add(actor["pid"])
    return found


def _node(
    said: Mapping[str, object], usage: Mapping[str, Mapping[str, tuple[float | None, float]]], workers: Mapping[str, set[int]]
) -> NodeSeen:
    name, total = str(said["nodeId"]), said["resourcesTotal"]
    assert isinstance(total, Mapping)

    def used_of(kind: str) -> tuple[float | None, float]:
        in_all = float(total.get(kind, 0.0))
        return usage.get(name, {}).get(kind, (None if in_all else 0.0, 0.0))[0], in_all

    return NodeSeen(
        id=name,
        host=str(said["nodeManagerHostname"]),
        is_head=bool(said["isHeadNode"]),
        cpus=used_of("CPU"),
        gpus=used_of("GPU"),
        workers=frozenset(workers.get(name, ())),
    )
