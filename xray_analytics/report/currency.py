"""What is said of the currency of the amounts shown."""

from __future__ import annotations

import pandas as pd


def currency_sentence(currency: pd.Series[str], n_others: int) -> str:
    """Which currency the amounts are in, as far as the data name one, and how many companies are not shown.

    >>> currency_sentence(pd.Series(["EUR", "EUR"]), 1)
    'Amounts are in EUR; 1 company with months in another currency is not counted there.'
    >>> currency_sentence(pd.Series([None], dtype="string"), 0)
    'The service names no currency for these amounts.'
    """
    name = currency.dropna().unique()
    said = f"Amounts are in {name[0]}" if len(name) else "The service names no currency for these amounts"
    if not n_others:
        return f"{said}."
    others = "1 company with months in another currency is" if n_others == 1 else (
        f"{n_others:,} companies with months in another currency are"
    )  # fmt: skip
    return f"{said}; {others} not counted there."
