"""`safegen audit serve`: the review page."""

import ipaddress
import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from safegen.audit.held import ImageStore
from safegen.audit.review.accounts import Accounts
from safegen.audit.review.acts import Acts
from safegen.cli.audit_options import NONE, Folder, Key, opened, print_json
from safegen.cli.models import Json
from safegen.errors import InputError, MissingExtraError


def serve_command(
    folder: Folder,
    images: Annotated[
        Path | None, typer.Option(help="Folder of held images.", show_default=False)
    ] = None,
    key: Key = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any.")] = 8321,
    name: Annotated[
        list[str], typer.Option(help="A host name under which browsers reach the page.")
    ] = NONE,
    certificate: Annotated[
        Path | None, typer.Option(help="TLS certificate (PEM).", show_default=False)
    ] = None,
    certificate_key: Annotated[
        Path | None, typer.Option(help="Its private key (PEM).", show_default=False)
    ] = None,
    behind_https: Annotated[
        bool, typer.Option("--behind-https", help="A proxy in front of it speaks https.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Serve the review page until interrupted; make accounts first: `safegen audit account add`."""
    try:
        import uvicorn

        from safegen.audit.review.app import create_app
        from safegen.audit.review.connections import MOST, MOST_EACH, Impatient, Listening
        from safegen.audit.review.site import Site
    except ImportError as error:
        raise MissingExtraError(error.name or "fastapi", "review", "the review page") from error
    secure = certificate is not None or behind_https
    if not secure and not _is_local(host):
        raise InputError(
            f"{host} is reached from other machines, where passwords would travel in the clear",
            "give --certificate and --certificate-key, or --behind-https with a proxy in front",
        )
    store = ImageStore.existing(images) if images else None
    with opened(folder, None, elsewhere=False), Accounts.open(folder) as accounts:
        if not accounts.list():
            raise InputError(
                f"{folder} has no accounts, so nobody could sign in",
                f"safegen audit account add {folder} NAME --role reviewer",
            )
    # All that a proxy passes on comes from its own address; to count by browsers is up to it.
    most_each = MOST if behind_https else MOST_EACH
    with Acts(folder, key) as acts, Listening(_listening(host, port), most_each) as listening:
        config = uvicorn.Config(
            create_app(Site(folder, acts, store, secure), [*name, host, "localhost", "127.0.0.1"]),
            http=Impatient,
            loop="asyncio",  # others do not ask the socket what it lets in
            backlog=100,  # as often does asyncio try, and complain, where no file can be opened
            ssl_certfile=certificate,
            ssl_keyfile=certificate_key,
            proxy_headers=behind_https,
            server_header=False,
            log_level="warning",
        )
        _load(config)
        shown = f"[{host}]" if ":" in host else host
        url = f"{'https' if certificate else 'http'}://{shown}:{listening.getsockname()[1]}/"
        if as_json:
            print_json({"serving": url})
        else:
            typer.echo(f"serving {url} until interrupted")
        uvicorn.Server(config).run(sockets=[listening])


def _load(config: Any) -> None:
    """Read the certificate before anything is said to be served.

    Raises:
        InputError: it, or its key, is missing or no such thing, or they do not belong together.
    """
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        pair = f"{config.ssl_certfile} with the key {config.ssl_keyfile or 'in it'}"
        raise InputError(
            f"cannot use the certificate {pair}: {error.strerror or error}",
            "give PEM files that belong together: --certificate and --certificate-key",
        ) from error


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(
            f"cannot listen on {host}, port {port}: {error.strerror}",
            "give an address of this machine and a --port that no other program has",
        ) from error


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
