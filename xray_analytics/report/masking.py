"""Masking of natural persons: in names, in codes, and in what a bank wrote beside an entry."""

from __future__ import annotations

from typing import Any

import pandas as pd

_INCIDENTS = {"new_reject": "Rejected debits", "new_seizure": "Seizures", "missed_urssaf": "Social charges not paid"}


def with_names(frame: pd.DataFrame, companies: pd.DataFrame, *, show_persons: bool = False) -> pd.DataFrame:
    """The frame with `company_name` added, natural persons masked in both name and code.

    A name is shown only where the lender says that the company is no natural person; where nothing is said the name is
    withheld and the code is shown. `show_persons` shows everything.
    """
    known = companies.drop_duplicates("company_id", keep="last").set_index("company_id")
    ids = frame["company_id"]
    name = ids.map(known["company_name"])
    person = ids.map(known["is_natural_person"])
    if not show_persons:
        name = name.where(_says(person, False) | name.isna(), "name withheld")
        masked = _says(person, True)
        name, ids = name.mask(masked, "natural person"), ids.mask(masked, "…" + ids.str[-3:])
    return frame.assign(company_id=ids, company_name=name)


def codes_of_persons(companies: pd.DataFrame) -> set[str]:
    """The codes of those that the lender says are natural persons.

    Examples
    --------
    >>> asked = {"company_id": ["a", "b", "c"], "is_natural_person": [True, False, None]}
    >>> codes_of_persons(pd.DataFrame(asked))
    {'a'}
    """
    return set(companies.loc[_says(companies["is_natural_person"], True), "company_id"])


def without_labels(watch: pd.DataFrame) -> pd.DataFrame:
    """A watch list whose evidence does not repeat what a bank wrote beside an entry: it may name a person.

    Examples
    --------
    >>> evidence = "2 in the last 92 days of statements, 0 in those before; the last: REJET M DUPONT: 80.00 back."
    >>> without_labels(pd.DataFrame({"rule": ["new_reject"], "evidence": [evidence]}))["evidence"].tolist()
    ['Rejected debits: 2 in the last 92 days of statements, 0 in those before.']
    """
    text = watch["evidence"].str.replace(r"(?s); the last: .*", ".", regex=True)
    text = text.str.replace(
        r"(?s) to .* since (\d{4}-\d\d-\d\d, none before\.)$", r" to one party since \1", regex=True
    )
    subject = watch["rule"].map(_INCIDENTS)
    return watch.assign(evidence=text.where(subject.isna(), subject + ": " + text))


def _says(person: pd.Series[Any], answer: bool) -> pd.Series[bool]:
    """Where the lender gives this answer; no answer is none."""
    return person.eq(answer).fillna(False).astype(bool)
