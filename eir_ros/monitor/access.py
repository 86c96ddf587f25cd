"""Who may look at the operator page, and who may give orders from it."""

import hmac
from urllib.parse import urlsplit

from eir_ros.contract.errors import EirError
from eir_ros.monitor.address import is_loopback

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class Access:
    """The rules, for a page that is served on `host`.

    On a loopback address whoever sits at the machine may give orders, unless a token is set. On
    any other address everybody may look, and orders need the token.

    Parameters
    ----------
    host
        Address that the server is bound to.
    token
        Shared secret; empty for none.
    """

    def __init__(self, host: str, token: str = "") -> None:
        self.host = host
        self._local = is_loopback(host)
        self._token = token.encode()

    @property
    def needs_token(self) -> bool:
        """Whether orders are refused until a token was given."""
        return bool(self._token) or not self._local

    def check_token(self, token: str) -> None:
        """Compare in constant time; `EirError` says why orders stay refused."""
        if not self._token:
            raise self.refusal()
        if not hmac.compare_digest(token.encode(errors="surrogatepass"), self._token):
            raise EirError("That is not the monitor's token; orders stay refused.")

    def refusal(self) -> EirError:
        """Why an order without a token is refused."""
        if self._token:
            return EirError("Orders need the monitor's token: enter it under 'Unlock controls'.")
        return EirError(
            f"Controls are off: the page is served on {self.host} and no token was set. "
            "Start the monitor with a token to use them; viewing needs none."
        )

    def refused_request(self, host_header: str, origin: str | None) -> str | None:
        """Why a request must not be answered; None when it may be.

        A page of another site may open a WebSocket to this one (browsers do not apply the
        same-origin policy to them), and may make a name of its own point at 127.0.0.1. So the
        origin, where a browser gives one, must be this page; and on a loopback address only
        this machine's own names are served.
        """
        name = urlsplit(f"//{host_header}").hostname
        if self._local and name not in _LOCAL_NAMES and name != self.host:
            return f"this page is not served under the name '{host_header}'"
        if origin is not None and urlsplit(origin).netloc.lower() != host_header.lower():
            return f"pages of {origin} may not connect to this one"
        return None
