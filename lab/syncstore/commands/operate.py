"""What an operator does: status, drain, evict, certs; and `serve`, which has a parser of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.syncstore.commands.app import NOT_DONE, OK, Json, Patience, Tls, Urls, app, run
from lab.syncstore.commands.printed import print_json, summary
from lab.syncstore.errors import Refused

if TYPE_CHECKING:
    from lab.syncstore.client import Client

RegionName = Annotated[str, typer.Argument(metavar="REGION")]


@app.command("serve", context_settings={"ignore_unknown_options": True, "help_option_names": []})
def serve_(arguments: Annotated[list[str] | None, typer.Argument(metavar="…")] = None) -> None:
    """Run a node; `serve --help` tells how."""
    from lab.syncstore.node.serve import main as serve

    raise typer.Exit(serve(arguments or []))


@app.command("status")
def status_(url: Urls = None, tls: Tls = None, timeout: Patience = 2.0, as_json: Json = False) -> None:
    """What a node says of itself; of several --url the first that answers."""

    async def work(client: Client) -> int:
        told = await client.status()
        if as_json:
            print_json(told)
        else:
            print("\n".join(summary(told)))
        return OK

    run(work, url, tls, timeout)


@app.command("drain")
def drain_(
    region: RegionName,
    url: Urls = None,
    tls: Tls = None,
    timeout: Patience = 2.0,
    undo: Annotated[bool, typer.Option("--undo", help="serve again")] = False,
) -> None:
    """Advise everybody to leave a region: its state becomes draining. --undo also lets an evicted one in again.
    Needs the role admin."""

    async def work(client: Client) -> int:
        await (client.serve(region) if undo else client.drain(region))
        print(f"{region} is {'serving' if undo else 'draining'}")
        return OK

    run(work, url, tls, timeout, admin=True)


@app.command("evict")
def evict_(
    region: RegionName,
    url: Urls = None,
    tls: Tls = None,
    timeout: Patience = 2.0,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Stop waiting for a region that is lost; it returns by a reset only. Needs the role admin."""
    if not yes and not sys.stdin.isatty():
        raise Refused("nobody is there to be asked: say --yes")
    if not yes and not typer.confirm(f"Evict {region}? What it holds and others lack it writes anew when it returns."):
        raise typer.Exit(NOT_DONE)

    async def work(client: Client) -> int:
        await client.evict(region)
        print(f"{region} is evicted: nothing passes to it or from it until `drain {region} --undo`, then a reset first")
        return OK

    run(work, url, tls, timeout, admin=True)


@app.command("certs")
def certs_(
    directory: Annotated[Path, typer.Argument(metavar="DIR")],
    node: Annotated[list[str] | None, typer.Option(help="a name, or region/name; several: repeat")] = None,
    region: Annotated[str, typer.Option(help="of nodes that are named without theirs")] = "",
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="every node of this configuration")] = None,
    host: Annotated[list[str] | None, typer.Option(help="a host name or address to put in; several: repeat")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650)] = 365,
    as_json: Json = False,
) -> None:
    """Make a test CA, and certificates for nodes, a client and an admin; what is there is kept."""
    from lab.syncstore.security import make_certificates

    made = make_certificates(directory, _nodes(node or [], region, config), host or [], days)
    if as_json:
        print_json([str(path) for path in made])
    else:
        print(f"{len(made)} files made in {directory}; valid for {days} days; keep *.key to yourself")


def _nodes(names: list[str], region: str, config: Path | None) -> list[tuple[str, str]]:
    """(region, node) of each. Raises Refused."""
    from lab.syncstore.node.settings import NAME

    found = []
    if config is not None:
        from lab.syncstore.node.settings_file import nodes_of

        found = nodes_of(config)
    for name in names:
        of, _, node = name.rpartition("/")
        if not NAME.fullmatch(node) or not NAME.fullmatch(of or region):
            raise Refused(f'--node: expected region/name, or a name with --region, found "{name[:100]}"')
        found.append((of or region, node))
    if not found:
        raise Refused("say which nodes: --config FILE, or --node region/name, once for each")
    return found
