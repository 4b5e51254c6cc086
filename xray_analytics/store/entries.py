"""Every entry once, as SQL, the same for DuckDB and Spark: the rule of `analysis.cashflow.entries` where the rows are.

It stands here a second time because a snapshot answers lazily and a store imports no analysis; a test holds the two
together, over random portfolios. Coverage is intervals between all starts and ends of statements of an account: two are
the same or have no day in common, and of the reports that cover one in all accounts the newest with a basis speaks.
"""

# ruff: noqa: S608 - every name in this SQL comes from `tables`

from __future__ import annotations

from collections.abc import Callable

from .. import tables
from ..engine import sql_text

_LONGEST_DAYS = 3_660  # a longer statement has a wrong date
_SAME = "company_id, unit, booked_date, amount, folded"


def sql(visible: Callable[[str], str], replace_all: str) -> str:
    """The entries that a point in time can see; `visible` gives the SQL of a table's visible rows.

    `replace_all` is the engine's word for replacing what a pattern matches.
    """
    folded = f"trim({replace_all.format('t.label', sql_text(tables.BLANKS))})"
    names = ", ".join(f"t.{name}" for name in tables.TRANSACTIONS.names)
    return f"""
        WITH known AS (
            SELECT report_id, report_version, company_id, row_number() OVER (
                PARTITION BY company_id ORDER BY coalesce(created_at, available_at), report_id) AS rank
            FROM ({visible("reports")}) AS r WHERE product = 'bank' AND company_id IS NOT NULL
        ), {_covering(visible("statement_summaries"))}, placed AS (
            SELECT r.company_id, w.unit, w.choice, {folded} AS folded, {names}
            FROM ({visible("transactions")}) AS t
            JOIN known AS r ON r.report_id = t.report_id AND r.report_version = t.report_version
            LEFT JOIN units AS u ON u.report_id = t.report_id AND u.account_no = coalesce(t.account_no, -1)
            JOIN whole AS w ON w.report_id = t.report_id AND w.unit = coalesce(u.unit, '')
                AND t.booked_date > w.start_date AND t.booked_date <= w.end_date
            WHERE t.amount IS NOT NULL
        ), numbered AS (
            SELECT *, row_number() OVER (PARTITION BY {_SAME}, report_id ORDER BY transaction_no) AS k FROM placed
        ), counted AS (
            SELECT *, count(*) OVER (PARTITION BY {_SAME}, k) AS n_reports_seen FROM numbered
        )
        SELECT {", ".join(tables.ENTRIES.names)} FROM counted WHERE choice = 1"""


def _covering(statements: str) -> str:
    """`units`: the account that each account of a report is; `whole`: intervals by report, `choice` 1 speaks."""
    return f"""
        named AS (
            SELECT k.company_id, k.rank, s.report_id, coalesce(s.account_no, -1) AS account_no, s.iban, s.start_date,
                s.end_date, coalesce(s.has_basis, true) AS has_basis
            FROM ({statements}) AS s
            JOIN known AS k ON k.report_id = s.report_id AND k.report_version = s.report_version
        ), accounts AS (
            SELECT company_id, report_id, account_no, min(iban) AS iban FROM named
            GROUP BY company_id, report_id, account_no
        ), told AS (
            SELECT company_id, bool_and(iban IS NOT NULL AND account_no >= 0) AS is_told FROM accounts
            GROUP BY company_id
        ), units AS (
            SELECT a.report_id, a.account_no, CASE WHEN t.is_told THEN a.iban ELSE '' END AS unit
            FROM accounts AS a JOIN told AS t ON t.company_id = a.company_id
        ), spans AS (
            SELECT n.company_id, n.rank, n.report_id, n.account_no, u.unit, n.start_date, n.end_date, n.has_basis
            FROM named AS n JOIN units AS u ON u.report_id = n.report_id AND u.account_no = n.account_no
            WHERE n.end_date > n.start_date AND n.end_date <= n.start_date + INTERVAL {_LONGEST_DAYS} DAY
        ), bounds AS (
            SELECT company_id, unit, start_date AS bound FROM spans UNION SELECT company_id, unit, end_date FROM spans
        ), intervals AS (
            SELECT company_id, unit, bound AS start_date,
                lead(bound) OVER (PARTITION BY company_id, unit ORDER BY bound) AS end_date FROM bounds
        ), held AS (
            SELECT i.company_id, i.unit, i.start_date, i.end_date, s.report_id, max(s.rank) AS rank,
                bool_and(s.has_basis) AS has_basis, count(DISTINCT s.account_no) AS n_accounts
            FROM intervals AS i JOIN spans AS s ON s.company_id = i.company_id AND s.unit = i.unit
                AND s.start_date <= i.start_date AND s.end_date >= i.end_date
            GROUP BY i.company_id, i.unit, i.start_date, i.end_date, s.report_id
        ), sizes AS (
            SELECT report_id, unit, greatest(count(DISTINCT CASE WHEN account_no >= 0 THEN account_no END), 1) AS n
            FROM spans GROUP BY report_id, unit
        ), whole AS (
            SELECT h.*, row_number() OVER (
                PARTITION BY h.company_id, h.unit, h.start_date ORDER BY h.has_basis DESC, h.rank DESC) AS choice
            FROM held AS h JOIN sizes AS z ON z.report_id = h.report_id AND z.unit = h.unit WHERE h.n_accounts >= z.n
        )"""
