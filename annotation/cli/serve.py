"""``dabench annotate serve``: the labelling pages of a study."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from dabench.errors import UsageError


def serve(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of a study, made by propose.")],
    port: Annotated[int, typer.Option(help="Port to listen at; 0: any free one.")] = 8765,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    allow_network: Annotated[
        bool, typer.Option("--allow-network", help="Let other machines connect; needed for any other --host.")
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Name or address that people type in their browser; repeatable."),
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="Certificate (PEM), for HTTPS.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    new_link: Annotated[bool, typer.Option("--new-link", help="Print a new sign-in link of the owner.")] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the pages in a browser here.")] = False,
    log_requests: Annotated[bool, typer.Option("--log-requests", help="Print one line a request.")] = False,
) -> None:
    """Serve the labelling pages of a study until Ctrl+C. Only this machine can connect unless you say otherwise."""
    from annotation.people import sign_in_link

    try:
        from annotation.server.addresses import chosen_address
        from annotation.server.owner import owner_token
        from annotation.server.running import run_server
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the labelling pages need {error.name}, which is not installed here",
            hint="pip install 'dabench[annotate]'",
        ) from error
    from annotation.store.lock import serving
    from annotation.study import Study

    if (cert is None) != (key is None):
        raise UsageError("--cert and --key belong together", hint="give both for HTTPS, or neither")
    address = chosen_address(
        host, port, allowed=allowed_host or (), allow_network=allow_network, secure=cert is not None
    )
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("dabench.annotate").setLevel(logging.INFO if log_requests else logging.WARNING)

    with serving(study), Study.open(study) as opened:

        def tell(url: str) -> None:
            typer.echo(f"Serving {study} at {url}   (Ctrl+C stops)")
            if not address.loopback:
                typer.echo("Other machines can connect. Everybody signs in with a link of their own.")
                if not address.secure:
                    typer.echo(
                        "Answers and sign-in links travel in clear: anybody on this network can read them. "
                        "Use --cert and --key where that matters.",
                        err=True,
                    )
            token = owner_token(opened, renew=new_link)
            if token is not None:
                typer.echo("Sign in as the owner, once in each browser, with this link. It is shown only now:")
                typer.echo(f"  {sign_in_link(url, token)}")
            else:
                typer.echo("Sign in with your link; for a new one: dabench annotate people link NAME, or --new-link.")
            if open_browser:
                import webbrowser

                webbrowser.open(url if token is None else sign_in_link(url, token))

        run_server(opened, address, certificate=cert, key=key, on_bound=tell)
        typer.echo("Stopped. Everything that was acknowledged is stored.")
