"""What `cluster status` shows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from hpsearch.cli.session import Session
from hpsearch.cli.tables import narrowing, plain_table
from hpsearch.cli.words import clean, iso
from hpsearch.executors.ray_jobs import Head, JobSeen, last_line
from hpsearch.executors.ray_status import NodeSeen
from hpsearch.overview import RunningNow
from hpsearch.trial import Json


def show_cluster(session: Session, head: Head, nodes: Sequence[NodeSeen], running: Sequence[RunningNow], jobs: Sequence[JobSeen]) -> None:
    """Its nodes with their trials, and its jobs."""
    session.show(f"cluster at {head.own.address if head.own else head.address}", "", _nodes(session, nodes, running))
    if jobs:
        session.show("", _jobs(session, jobs))
    session.result(
        {
            "address": head.own.address if head.own else None,
            "dashboard": head.address,
            "nodes": [_node_json(node, running) for node in nodes],
            "jobs": [_job_json(job) for job in jobs],
        }
    )


def _nodes(session: Session, nodes: Sequence[NodeSeen], running: Sequence[RunningNow]) -> Table:
    table = plain_table("node", "host", "CPUs", "GPUs", "trials", right=("CPUs", "GPUs"), fold=("trials",))
    for node in nodes:
        on_it = ", ".join(f"{clean(each.sweep)} {each.trial}" for each in running if node.has(each.worker))
        name = f"{node.id[:8]} (head)" if node.is_head else node.id[:8]
        table.add_row(Text(name, style="bold"), clean(node.host), _used(node.cpus), _used(node.gpus), on_it)
    return narrowing(table, "trials", session.out.width)


def _used(of: tuple[float | None, float]) -> str:
    return f"{'?' if of[0] is None else format(of[0], 'g')}/{of[1]:g}"


def _jobs(session: Session, jobs: Sequence[JobSeen]) -> Table:
    table = plain_table("sweep", "job", "state", "said", fold=("said",))
    for job in jobs:
        said = last_line(job.message) if job.message and job.state == "FAILED" else ""
        table.add_row(Text(clean(job.sweep), style="bold"), clean(job.id), job.state.lower(), clean(said))
    return narrowing(table, "said", session.out.width)


def _node_json(node: NodeSeen, running: Sequence[RunningNow]) -> dict[str, Json]:
    return {
        "id": node.id,
        "host": node.host,
        "head": node.is_head,
        "cpus": {"used": node.cpus[0], "total": node.cpus[1]},
        "gpus": {"used": node.gpus[0], "total": node.gpus[1]},
        "trials": [{"sweep": each.sweep, "trial": each.trial, "worker": each.worker} for each in running if node.has(each.worker)],
    }


def _job_json(job: JobSeen) -> dict[str, Json]:
    return {
        "id": job.id,
        "sweep": job.sweep,
        "state": job.state,
        "message": last_line(job.message) if job.message else None,
        "started": iso(job.started_ms),
        "ended": iso(job.ended_ms),
    }
