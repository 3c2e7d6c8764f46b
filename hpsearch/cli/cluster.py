"""cluster up, submit, status, down: a Ray cluster, and sweeps as its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cli.running import File, Overrides
from hpsearch.cli.session import Session
from hpsearch.cli.words import clean
from hpsearch.config.home import names_store
from hpsearch.errors import InputError
from hpsearch.words import count

if TYPE_CHECKING:
    from hpsearch.executors.ray_jobs import Head

Address = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="URL", help="Of another cluster's dashboard, such as http://HEAD:8265; else the home's.", show_default=False
    ),
]


def up(
    session: Session,
    nodes: Annotated[
        int | None,
        typer.Option("--nodes", metavar="N", help="How many, the head among them [1].", min=1, max=64, show_default=False),
    ] = None,
    cpus: Annotated[
        int | None,
        typer.Option("--cpus", metavar="N", help="Of each [its share of the machine's].", min=1, max=4096, show_default=False),
    ] = None,
    gpus: Annotated[
        int | None,
        typer.Option("--gpus", metavar="N", help="Of each [all, where there is one node; else none].", min=0, max=64, show_default=False),
    ] = None,
) -> int:
    """Start a Ray cluster of this machine, which `run --executor ray` and `cluster submit` then use."""
    from hpsearch.executors import ray_nodes

    session.announce(f"starting {count(nodes or 1, 'node')}, one after the other; each takes some seconds")
    cluster, is_new = ray_nodes.up(session.home, nodes, cpus, gpus, session.settings.store)
    session.settle()
    state = "is up" if is_new else "was up already"
    session.show(f"a cluster {state}: {count(cluster.wanted, 'node')} at {cluster.address}, its dashboard at {cluster.dashboard}")
    session.show(f"submit a sweep to it with: {session.command('cluster', 'submit', 'FILE')}")
    session.result(
        {
            "address": cluster.address,
            "dashboard": cluster.dashboard,
            "token": str(cluster.token),
            "nodes": cluster.wanted,
            "cpus": cluster.cpus,
            "gpus": cluster.gpus,
            "new": is_new,
        }
    )
    return 0


def submit(session: Session, file: File, overrides: Overrides = None, address: Address = None) -> int:
    """Have a cluster run a sweep, which goes on when this terminal is closed."""
    from hpsearch.config import load
    from hpsearch.executors.ray_jobs import Jobs, find_head, parcel_for
    from hpsearch.plan import make_plan

    config = load(file, overrides or [])
    make_plan(config, "ray")
    head = find_head(session.home, address)
    if head.own is None:
        _refuse_what_stays(session, head.address)
    parcel = parcel_for(head, config, file, overrides or [], session.home)
    job, is_new = Jobs(head).submit(config, parcel)
    if is_new:
        session.show(f"{clean(config.name)} is submitted to {head.address} as job {job.id}")
    else:
        session.show(f"{clean(config.name)} is there already, as job {job.id}: {job.state.lower()}")
    _say_how_to_follow(session, config.name, head)
    session.result({"sweep": config.name, "job": job.id, "state": job.state, "new": is_new, "address": head.address})
    return 0


def _say_how_to_follow(session: Session, name: str, head: Head) -> None:
    where = ["--address", head.address] if head.own is None else []
    session.show_line(f"the cluster    {session.command('cluster', 'status', *where)}")
    if head.own is None and not names_store():
        session.show("its ledger is the head's: look at the sweep from there")
        return
    session.show_line(f"the sweep      {session.command('status', name)}")
    session.show_line(f"what it prints {session.command('logs', name)}")


def _refuse_what_stays(session: Session, address: str) -> None:
    """Options that are about this machine."""
    for option, given, cure in (
        ("--home", session.settings.home, "its head has a home of its own, as HPSEARCH_HOME there says"),
        ("--store", session.settings.store, "its head has a store of its own, as HPSEARCH_STORE_FILE there says"),
    ):
        if given is not None:
            raise InputError(f"{option} is of this machine, and the cluster at {address} is another's: {cure}; leave the option out")


def status(session: Session, address: Address = None) -> int:
    """Nodes of a cluster, what is in use of each, the trials on it, and the sweeps that were submitted."""
    from hpsearch.cli.nodes import show_cluster
    from hpsearch.executors.ray_jobs import Jobs, find_head
    from hpsearch.executors.ray_status import nodes_seen
    from hpsearch.overview import is_missing, reading, running_now

    jobs = Jobs(find_head(session.home, address))
    running = []
    if not is_missing(session.home):
        with reading(session.home) as ledger:
            running = running_now(ledger)
    show_cluster(session, jobs.head, nodes_seen(jobs), running, jobs.seen())
    return 0


def down(session: Session) -> int:
    """End the cluster that `cluster up` has started; sweeps that run on it can be resumed."""
    from hpsearch.executors import ray_nodes

    was_up = ray_nodes.down(session.home)
    session.show("the cluster is down" if was_up else f"no cluster of {session.home.root} is up; nothing to end")
    session.result({"was_up": was_up})
    return 0
