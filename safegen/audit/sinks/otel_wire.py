"""How a session of `requests` sends: by `Wire`, so within a time and a size whatever answers."""

import io
import ssl
from pathlib import Path
from typing import Any

import httpx
import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_encoding_from_headers, select_proxy

from safegen.wire import Answer, BadAnswerError, NoAnswerError, Wire

_SECONDS = 10.0  # where the exporter names no time; its own default


class Wired(BaseAdapter):
    """An adapter each of whose exchanges ends, from the look-up of the name to the last byte."""

    def __init__(self) -> None:
        super().__init__()
        self._wires: dict[tuple[Any, ...], Wire] = {}

    def send(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """The answer, which is read, to a prepared request with a body of bytes.

        Raises:
            requests.ConnectionError: there was none in time.
            requests.RequestException: it is too long, or compressed, or the certificates or the
                proxy cannot be used.
        """
        url: str = request.url
        proxy = select_proxy(url, proxies) or ""
        way = (url, verify, cert, proxy)
        seconds = timeout if isinstance(timeout, int | float) else _SECONDS
        headers = dict(request.headers)
        headers.pop("Accept-Encoding", None)  # the wire's own holds
        try:
            if way not in self._wires:
                self._wires[way] = _wire(url, verify, cert, proxy)
            answer = self._wires[way].post(request.body or b"", seconds, headers)
        except NoAnswerError as error:
            # Certificates may have been renewed: they are read again the next time.
            self._wires.pop(way, None)
            raise requests.ConnectionError(str(error), request=request) from error
        except BadAnswerError as error:
            raise requests.RequestException(str(error), request=request) from error
        return _response(request, answer)

    def close(self) -> None:
        """Close the connections."""
        self._wires.clear()


def _wire(url: str, verify: bool | str, cert: Any, proxy: str) -> Wire:
    try:
        tls = _tls(verify, cert) if url.startswith("https") else True
        return Wire(httpx.URL(url), verify=tls, proxy=proxy, refusals=True)
    except Exception as error:
        told = f"cannot use the certificates or the proxy: {type(error).__name__}"
        raise requests.RequestException(told) from error


def _tls(verify: bool | str, cert: Any) -> ssl.SSLContext:
    """Whom to trust, and who this is, by what a session of `requests` calls `verify`, `cert`."""
    trusted = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
    by_folder = Path(trusted).is_dir()
    context = ssl.create_default_context(
        cafile=None if by_folder else trusted, capath=trusted if by_folder else None
    )
    if verify is False:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if cert:
        context.load_cert_chain(*([cert] if isinstance(cert, str) else cert))
    return context


def _response(request: Any, answer: Answer) -> requests.Response:
    response = requests.Response()
    response.status_code, response.reason = answer.status, answer.reason
    response.headers = CaseInsensitiveDict(answer.headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.url, response.request = request.url, request
    response.raw = io.BytesIO(answer.body)
    return response
