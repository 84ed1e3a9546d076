"""`samenloop topology`: what a broker should hold, and bringing it there."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from samenloop_deploy.cli.console import CommandError, print_json, print_table, reporting
from samenloop_deploy.cli.environment import kafka_access
from samenloop_deploy.cli.progress import telling

app = typer.Typer(help="Topics, users, rights and quotas, from topology.yaml.", no_args_is_help=True)

Prefix = Annotated[str, typer.Option(envvar="SAMENLOOP_TOPIC_PREFIX", help="Topic prefix.")]
SingleNode = Annotated[bool, typer.Option(help="For one broker: replication 1.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON on standard output.")]


@app.command()
def plan(prefix: Prefix = "", single_node: SingleNode = False, as_json: AsJson = False) -> None:
    """Show the topics and rights that should be there. Touches no broker."""
    from samenloop_deploy import topology

    wanted = topology.load().plan(prefix, single_node=single_node)
    if as_json:
        print_json({"topics": [asdict(t) for t in wanted.topics], "rights": [asdict(a) for a in wanted.acls]})
        return
    print_table("topics", [{"topic": t.name, "partitions": t.partitions, **t.configs} for t in wanted.topics])
    print_table("rights", [asdict(acl) for acl in wanted.acls])


@app.command()
def apply(prefix: Prefix = "", single_node: SingleNode = False, prune: bool = False, as_json: AsJson = False) -> None:
    """Create and correct topics, rights and quotas, as the administrator in SAMENLOOP_KAFKA_*."""
    with reporting():
        from samenloop_deploy import topology, topology_apply

        wanted = topology.load().plan(prefix, single_node=single_node)
        try:
            with telling() as tell:
                changes = topology_apply.apply(
                    wanted,
                    kafka_access(),
                    prune=prune,
                    progress=lambda step, done, total: tell("topology", done, total),
                )
        except topology_apply.TopologyConflict as error:
            raise CommandError(str(error)) from None
        rows = [asdict(change) for change in changes]
        if as_json:
            print_json(rows)
        else:
            print_table("changes", rows)
