"""How does the money move? Months, balances, families of movements, streams and incidents of companies.

`monthly` (months of companies and of the portfolio), `metrics` (one row per company), `balances` (days of accounts),
`categories` (label families, and what is operating), `category_shares` (amounts by family), `counterparties` (who pays,
who is paid), `recurring` (what comes again), `incidents` (rejects, seizures, missed social security). Whatever counts
entries takes each day of an account from the newest report that covers it (`deduplication`). Refuses to know what a
service category means: those words are not documented.
"""

from __future__ import annotations

from .balances import DAILY, daily_balances
from .categories import CATEGORIES, OPERATING, categories, operating, shipped_categories
from .category_shares import SHARES, category_shares
from .counterparties import CONCENTRATION, counterparty_concentration
from .deduplication import entries
from .incidents import INCIDENTS, incidents
from .metrics import METRICS, company_metrics
from .monthly import FLOWS, in_main_currency, monthly_flows, portfolio_months
from .recurring import STREAMS, recurring

__all__ = [
    "CATEGORIES", "CONCENTRATION", "DAILY", "FLOWS", "INCIDENTS", "METRICS", "OPERATING", "SHARES", "STREAMS",
    "categories", "category_shares", "company_metrics", "counterparty_concentration", "daily_balances", "entries",
    "in_main_currency", "incidents", "monthly_flows", "operating", "portfolio_months", "recurring",
    "shipped_categories",
]  # fmt: skip
__dir__ = __all__.copy
