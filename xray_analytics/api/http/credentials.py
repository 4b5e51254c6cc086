"""Who may see the secret headers: the scheme, host and port of `base_url`, and nobody else."""

from __future__ import annotations

from urllib.parse import urlsplit

from ...errors import InputError
from ...settings import Settings

_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_address(settings: Settings) -> None:
    """Refuse a `base_url` to which the headers must not travel.

    Raises
    ------
    InputError
        Not https, outside this machine; or a port that is no port.
    """
    try:
        scheme, _, _ = _origin(settings.base_url)
    except ValueError:
        raise InputError(f"the port in base_url, {settings.host}, is not a number below 65536") from None
    if scheme != "https" and not settings.is_loopback:
        raise InputError(f"base_url of {settings.host} refused: https is required outside this machine")


def credentials_for(url: str, settings: Settings) -> dict[str, str]:
    """The three secret headers if `url` has the scheme, host and port of the service, otherwise none.

    HTTP clients know that ``Authorization`` must not travel to another host; of these names they know nothing.

    Examples
    --------
    >>> settings = Settings(base_url="https://api.example", user_id="u", session_token="t")
    >>> sorted(credentials_for("https://api.example:443/requests", settings))
    ['October-Version', 'sessionToken', 'userId']
    >>> credentials_for("https://cdn.example/file", settings)
    {}
    """
    if _origin(url) != _origin(settings.base_url):
        return {}
    return {
        "userId": settings.user_id.reveal(),
        "sessionToken": settings.session_token.reveal(),
        "October-Version": settings.api_version,
    }


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
