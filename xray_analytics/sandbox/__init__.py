"""An invented world with the API's manners: real HTTP on loopback, seeded companies, nothing real in it.

The package knows nothing of how reports are read: it writes what the guides document, and marks what it assumes.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any, Self

from ..errors import InputError, listed
from ..settings import Secret, Settings
from . import lender
from .payloads.reports import Economy
from .service.behaviour import Manners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

__all__ = ["Sandbox"]
UNTIL = date(2025, 12, 31)


class Sandbox:
    """Fictitious companies behind a real API on 127.0.0.1, in a process of its own.

    As a context manager it starts and ends the server; the frames of the lender work without a server as well. The
    same `seed` gives the same bytes, and a larger sandbox begins with the companies of a smaller one.

    Parameters
    ----------
    companies
        How many.
    seed
        What they are drawn from.
    until
        Last day of their history.
    port
        0 for a free one.
    clean
        True leaves out the few reports that are damaged on purpose.
    without
        Names out of `planted`: phenomena that this economy lacks, for comparison.
    session_token
        Fresh and random unless given.
    manners
        Choices where the service's documentation is silent, as `Manners` has them: ``report_delay=0.1``.

    Examples
    --------
    >>> sandbox = Sandbox(companies=3, seed=7)
    >>> sandbox
    <Sandbox of 3 fictitious companies, seed 7, not running>
    >>> list(sandbox.outcomes().columns[:2])
    ['company_id', 'default_date']
    """

    def __init__(  # noqa: PLR0913 - each is one independent choice, four of them by keyword
        self,
        companies: int = 200,
        seed: int = 7,
        until: date = UNTIL,
        *,
        port: int = 0,
        clean: bool = False,
        without: Iterable[str] = (),
        session_token: str | None = None,
        **manners: Any,
    ) -> None:
        if companies < 1:
            raise InputError(f"a sandbox needs at least 1 company, not {companies}")
        self.economy = Economy(companies, seed, until=until, clean=clean, without=listed(without, "without"))
        self.url: str | None = None
        self._user_id = secrets.token_hex(12)
        self._token = Secret(session_token or secrets.token_urlsafe(24))
        self.organization_id = secrets.token_hex(12)
        self._port, self._manners = port, Manners(**manners)
        self._process: subprocess.Popen[str] | None = None

    def __repr__(self) -> str:
        where = self.url or "not running"
        return f"<Sandbox of {self.economy.n_companies} fictitious companies, seed {self.economy.seed}, {where}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server process; it ends with this one, however this one ends.

        Raises
        ------
        InputError
            It runs already, or it could not start: the port is taken.
        """
        if self._process is not None:
            raise InputError("this sandbox runs already; stop it, or make another one")
        process = subprocess.Popen(
            [sys.executable, "-m", "xray_analytics.sandbox.service.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._process = process
        print(json.dumps(self._child_options()), file=process.stdin, flush=True)
        port = process.stdout.readline().strip() if process.stdout else ""
        if not port.isdecimal():
            self.stop()
            raise InputError(f"the sandbox could not start on port {self._port}; choose another one")
        self.url = f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        """End the server process, by closing its input; nothing happens if there is none."""
        process, self._process, self.url = self._process, None, None
        if process is None:
            return
        process.communicate(timeout=100)  # a busy machine may take its time

    def serve_forever(self, announce: Callable[[Sandbox], None] = lambda sandbox: None) -> None:
        """Serve in this process until interrupted; `announce` is called once calls are accepted.

        Raises
        ------
        InputError
            The port is taken.
        """
        from .service.server import create_app, serve  # noqa: PLC0415 - the web server is needed here only

        def ready(port: int) -> None:
            self.url = f"http://127.0.0.1:{port}"
            announce(self)

        serve(
            create_app(self.economy, **self._account(), **asdict(self._manners)),
            port=self._port,
            announce=ready,
        )

    def settings(self, **overrides: Any) -> Settings:
        """Settings that reach this sandbox; `overrides` replace single ones.

        Raises
        ------
        InputError
            The sandbox is not running.
        """
        if self.url is None:
            raise InputError("the sandbox is not running; use it in a with statement, or call start() first")
        own: dict[str, Any] = {"base_url": self.url, "user_id": self._user_id, "session_token": self._token}
        own["business_id"] = self.organization_id
        return Settings(**(own | overrides))

    def planted(self) -> dict[str, dict[str, Any]]:
        """What an analyst can find in this economy, because it was put there: the answers to compare with.

        Returns
        -------
        dict
            By name: `what` it is, its `parameters` (what they mean stands beside them in `sandbox.truths`), and
            `found_by`, the functions and tables that show it. What was left out by ``without=`` is not there.

        Examples
        --------
        >>> planted = Sandbox(companies=3).planted()
        >>> list(planted)[:4]
        ['common_shock', 'selective_acceptance', 'early_repayments', 'renewals']
        >>> planted["understated_probability"]["parameters"]
        {'factor': 1.5}
        >>> print(planted["stopped_uploads"]["what"])
        Many companies stop uploading months before they default: missing news is bad news.
        >>> "groups" in Sandbox(companies=3, without=["groups"]).planted()
        False
        """
        return self.economy.truths.described()

    def companies(self) -> pd.DataFrame:
        """The lender's register: one row per company, in the columns of the table `companies`."""
        return lender.company_frame(self.economy.companies)

    def loans(self) -> pd.DataFrame:
        """The lender's applications and loans, in the columns of the table `loans`."""
        return lender.loan_frame(self.economy.companies, self.economy.timeline.until)

    def exposures(self) -> pd.DataFrame:
        """What active loans amount to [EUR] at each month end, in the columns of the table `exposures`."""
        return lender.exposure_frame(self.economy.companies, self.economy.timeline.until)

    def outcomes(self) -> pd.DataFrame:
        """Which companies defaulted, and how long each was watched, in the columns of the table `outcomes`."""
        return lender.outcome_frame(self.economy.companies, self.economy.timeline.until)

    def _child_options(self) -> dict[str, object]:
        economy = self.economy
        return {
            "port": self._port,
            "companies": economy.n_companies,
            "seed": economy.seed,
            "until": economy.timeline.until.isoformat(),
            "clean": economy.clean,
            "without": economy.without,
            "account": self._account(),
            "manners": asdict(self._manners),
        }

    def _account(self) -> dict[str, str]:
        return {
            "user_id": self._user_id,
            "session_token": self._token.reveal(),
            "organization_id": self.organization_id,
        }
