"""The documents that were uploaded from here into the store: the service lists none, so the journal tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from ..api.journal import Journal
from ..store import Store
from ..tidy.medium import media_table
from .run import Intake, taking


def keep_media(store: Store, journal: Journal, file_names: Mapping[str, str] | None = None) -> int:
    """Commit the documents that the store does not hold yet; how many there were.

    `file_names` are names of files by id of the medium, which the journal does not tell.

    Raises
    ------
    StoreError
        The store is locked, damaged or cannot be written; the journal still tells of them.
    """
    if not _unknown(store, journal):
        return 0
    with taking(store, command="upload") as intake:
        n_media = take_media(intake, journal, file_names or {})
        intake.finish()
    return n_media


def take_media(intake: Intake, journal: Journal, file_names: Mapping[str, str] = MappingProxyType({})) -> int:
    """Add them to the batch of a run; none of a company that was forgotten."""
    unknown = {
        name: told
        for name, told in _unknown(intake.store, journal).items()
        if not intake.is_forgotten(name) and not intake.is_forgotten(str(told[0].get("request")))
    }
    if unknown:
        for name in unknown.keys() & file_names.keys():
            unknown[name][0]["meta"]["name"] = file_names[name]
        intake.add("media", media_table(unknown))
    return len(unknown)


def _unknown(store: Store, journal: Journal) -> dict[str, tuple[dict[str, Any], datetime]]:
    known = set(store.stored("media", ["medium_id"])["medium_id"].to_pylist())
    outcomes = [told for told in journal.outcomes("medium") if "medium" in told and told["medium_id"] not in known]
    return {o["medium_id"]: (o["medium"], datetime.fromisoformat(o["answered_at"])) for o in outcomes}
