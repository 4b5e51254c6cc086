"""Who may see the secret headers: the scheme, host and port of `base_url`, and nobody else."""

from __future__ import annotations

from ...grammar import addresses
from ...settings import Settings


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
    try:
        origin = addresses.parse(url).origin
    except ValueError:
        return {}
    if origin != addresses.service(settings.base_url).origin:
        return {}
    return {
        "userId": settings.user_id.reveal(),
        "sessionToken": settings.session_token.reveal(),
        "October-Version": settings.api_version,
    }
