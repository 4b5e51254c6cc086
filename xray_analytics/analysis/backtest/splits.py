"""Which rows train a model, and which test it? By a keyed hash of the company, or by time."""

from __future__ import annotations

import hmac

import pandas as pd

from ...errors import InputError
from .. import frames
from ..frames import AsOf

SPLITS = ("train", "test", "purged")


def split_by_company(company_ids: pd.Series[str], *, key: str, test_share: float) -> pd.Series[str]:
    """``"test"`` for about that share of the companies, else ``"train"``; all rows of a company are on one side.

    The side of a company follows from the key and its id alone, so that neither other companies nor later rows can
    move it.

    >>> split_by_company(pd.Series(["732829320", "356000000", "732829320"]), key="b", test_share=0.5).tolist()
    ['train', 'test', 'train']
    """
    if not 0 <= test_share <= 1:
        raise InputError(f"test_share is {test_share}; give a share between 0 and 1")
    sides = {company: _side(company, key, test_share) for company in company_ids.dropna().unique()}
    return company_ids.map(sides).astype("string")


def _side(company: str, key: str, test_share: float) -> str:
    digest = hmac.digest(key.encode(), company.encode(), "sha256")
    return "test" if int.from_bytes(digest[:8], "big") < test_share * 2**64 else "train"


def split_by_time(
    as_of: pd.Series[pd.Timestamp], label_known: pd.Series[pd.Timestamp], test_from: AsOf
) -> pd.Series[str]:
    """``"test"`` from that day on; before it ``"train"``, or ``"purged"`` where the label was not known by then."""
    start = frames.day(test_from)
    sides = pd.Series("train", as_of.index, dtype="string").mask(label_known > start, "purged")
    return sides.mask(as_of >= start, "test")
