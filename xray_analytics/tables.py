"""The tables, column by column, and the alias map of a transaction: facts only, the mechanism is `schema`.

Where a source path is given it is the service's own spelling, relative to the object it is read from. What the service
does not document is marked *assumed* in the column itself, so that one edit here corrects it everywhere.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import no_such
from .schema import SCHEMA_VERSION, Column, Kind, Table

__all__ = [
    "ACCOUNTS", "BANK_FLAG_CRITERIA", "BEGINS", "BLANKS", "BOOKKEEPING_TABLES", "CLASS_LETTERS", "COMPANIES",
    "CREDIT_DEBIT_PAIRS", "DERIVED_TABLES", "DRIFT", "ENTRIES", "EXPOSURES", "FINANCIAL_RATIOS", "FINANCIAL_REASONS",
    "FLOW_BASES", "HAPPENS", "LAYOUTS", "LENDER_TABLES", "LOANS", "MEDIA",
    "MINIMUM_DATA_SANITY_PCT", "MONTHLY_SUMMARIES", "MOVEMENT_METRICS", "OTHER_FACTS", "OUTCOMES", "PRODUCTS",
    "QUARANTINE", "RAW", "REPORTS", "REPORT_TABLES", "REQUESTS", "REQUEST_NOTES", "REQUEST_TABLES", "RISK_CLASSES",
    "RUNS", "SCHEMA_VERSION", "SEVERITIES", "STATEMENT_SUMMARIES", "SUBJECTS", "TABLES", "TRANSACTIONS", "TRANSACTION_ALIASES",
    "table", "to_markdown",
]  # fmt: skip
__dir__ = __all__.copy


PRODUCTS = ("bank", "financial", "doc", "esg", "manager", "other")
RISK_CLASSES = (1, 2, 3, 4, 5)
SEVERITIES = ("high", "medium", "low")
CLASS_LETTERS = {1: "A", 2: "B", 3: "C", 4: "D", 5: "E"}  # assumed: A..E = 1..5; for display only
MAX_UNREAD_RATIO = 0.01  # of the transactions of a report; where more cannot be read, the run says so
MINIMUM_DATA_SANITY_PCT = 70  # documented: below it a bank report has no rating

# The layout that ships: a file, as those of lenders are. What it says of transactions is assumed, as their members are
# not documented: house column -> member names to look for, in order, and the same amount as two unsigned members.
SHIPPED_LAYOUT: Mapping[str, Any] = tomllib.loads(
    Path(__file__).with_name("tidy").joinpath("layout", "layout.toml").read_text(encoding="utf-8")
)
_PAIR = SHIPPED_LAYOUT["transaction"]["pair"]
TRANSACTION_ALIASES: Mapping[str, tuple[str, ...]] = {
    column: tuple(names) for column, names in SHIPPED_LAYOUT["transaction"].items() if column != "pair"
}
CREDIT_DEBIT_PAIRS = tuple(zip(_PAIR["credit"], _PAIR["debit"], strict=True))


def _text(name: str, doc: str, **more: Any) -> Column:
    return Column(name, "text", doc, **more)


def _money(name: str, doc: str, **more: Any) -> Column:
    return Column(name, "money", doc, unit="currency, major units", **more)


def _count(name: str, doc: str, **more: Any) -> Column:
    return Column(name, "int", doc, unit="count", lo=0, **more)


def _no(name: str, doc: str, **more: Any) -> Column:
    return Column(name, "int", doc, lo=0, required=True, **more)


REPORT_ID = Column("report_id", "id", "Id of the report.", source="report.id", required=True)
REPORT_VERSION = Column(
    "report_version",
    "int",
    "1 for the first payload seen under this id, 2 for the next different one.",
    lo=1,
    required=True,
)
REQUEST_ID = Column("request_id", "id", "Id of the analysis request.", source="report.request")
REQUEST_KEY = Column("request_id", "id", "Id of the analysis request.", source="id", required=True)
REQUEST_VERSION = Column(
    "request_version",
    "int",
    "1 for the first payload seen under this id, 2 for the next different one.",
    lo=1,
    required=True,
)
COMPANY_ID = Column("company_id", "id", "Company code as text, leading zeros kept.", source="code.id")
COMPANY_KEY = Column("company_id", "id", "Company code as text, leading zeros kept.", required=True)
ACCOUNT_NO = Column(
    "account_no", "int", "Account within the report, from 0; null where accounts cannot be told apart.", lo=0
)
CURRENCY = _text("currency", "Currency as sent; null where none is named, and none is assumed.")
EXTRA = Column("extra", "json", "Members this package does not know, as sent; null when there are none.")
FETCHED_AT = Column("fetched_at", "instant", "When the bytes were received.", unit="UTC", required=True)
RAW_SHA256 = Column("raw_sha256", "id", "SHA-256 of the bytes as received.", required=True)
CREATED_AT = Column(
    "created_at", "instant", "Creation: the member creation or createdAt, else the time in the first 8 hex digits of the id.",
    unit="UTC", source="creation", assumed=True,
)  # fmt: skip
CRITERION = _text("criterion", "Name of the criterion, as sent.", required=True)
VALUE = Column("value", "float", "The value where it is a number.", source="value")
VALUE_TEXT = _text("value_text", "The value where it is not a number (text, true, false).", source="value")
SENTIMENT = _text("sentiment", "The service's verdict.", source="sentiment", known=("good", "neutral", "bad"))

_REPORT = (REPORT_ID, REPORT_VERSION)
_REQUEST = (REQUEST_KEY, REQUEST_VERSION)
_REPORT_KEY = ("report_id", "report_version")

REQUESTS = Table(
    "requests",
    "One row per analysis request and version.",
    (
        *_REQUEST,
        _text(
            "company_code_type",
            "Kind of company code; kept as sent.",
            source="code.type",
            known=("siren", "kvk"),
        ),
        COMPANY_ID,
        _text("business_name", "Custom name of the request.", source="businessName"),
        Column("creator_id", "id", "User responsible.", source="creator"),
        _text("status", "Not a sign that a report is ready.", source="status", known=("pending_analysis",)),
        _text("stage", "As sent; a text although it looks like a number.", source="stage"),
        CREATED_AT,
        FETCHED_AT,
        RAW_SHA256,
        EXTRA,
    ),
    ("request_id", "request_version"),
)


def _note(name: str, member: str, doc: str, kind: Kind = "int", unit: str | None = "cents") -> Column:
    # The Financial X-Ray guide says cents, the page on requests says euros: cents is assumed.
    return Column(name, kind, doc, unit=unit, source=f"notes.{member}", assumed=unit == "cents")


REQUEST_NOTES = Table(
    "request_notes",
    "The notes of a request: financial inputs given by the lender, one row per request version that has notes.",
    (
        *_REQUEST,
        _note("is_holding", "holding", "Whether the company is a holding.", "bool", None),
        _note("workforce_number", "workforceNumber", "Headcount.", "int", "people"),
        _note("equity_cents", "equity", "Equity."),
        _note("revenue_cents", "revenue", "Revenue of the last year."),
        _note("amortization_depreciation_cents", "amortizationDepreciation", "Amortization and depreciation."),
        _note("net_income_cents", "netIncome", "Net income of the last year."),
        _note("interest_expense_cents", "interestExpense", "Interest payable on borrowings."),
        _note("cash_available_cents", "cashAvailable", "Cash."),
        _note("total_fixed_assets_cents", "totalFixedAssets", "Fixed assets."),
        _note("total_assets_cents", "totalAssets", "Total assets."),
        _note("short_term_debt_cents", "shortTermDebt", "Financial debt due within one year."),
        _note("total_debt_cents", "totalDebt", "Total debt."),
        _note("current_liabilities_cents", "currentLiabilities", "Obligations due within a year."),
        _note("esg_gender_diversity", "esgGenderDiversity", "Share of women, as a range.", "text", None),
        _note("esg_labels", "esgLabels", "Labels such as lucie, ecovadis, b-corp, or none.", "list<text>", None),
        _note(
            "esg_employee_protection",
            "esgEmployeeProtection",
            "Jobs kept thanks to the financing, as a range.",
            "text",
            None,
        ),
        _note("esg_job_creation", "esgJobCreation", "Jobs created, as a range.", "text", None),
        EXTRA,
    ),
    ("request_id", "request_version"),
)

REPORTS = Table(
    "reports",
    "One row per report and version: the table most questions start from.",
    (
        *_REPORT,
        REQUEST_ID,
        Column(
            "company_id", "id", "Company code, from the report itself or through its request when read; null if unknown.",
            source="code.id",
        ),
        _text("source", "The service's word for the product.", source="report.source", known=("bank_xray", "magpie", "esg")),
        _text("product", "Bank, financial, doc, esg, manager, or other.", choices=PRODUCTS, required=True),
        CREATED_AT,
        FETCHED_AT,
        Column(
            "available_at", "instant", "When this version could be known: creation for version 1, else when it was fetched.",
            unit="UTC", required=True,
        ),
        Column("is_backfilled", "bool", "Version 1 fetched more than 7 days after its creation.", required=True),
        Column("layout_sha256", "id", "The layout that read it, see `layouts`; null where none was remembered."),
        Column("is_rated", "bool", "Whether a risk class was given; false is information, not an error.", required=True),
        Column("bank_risk_class", "int", "1 very good … 5 very bad; null is unrated.", lo=1, hi=5, source="raw.riskClass"),
        Column("bank_score", "float", "Scale and direction are not documented.", source="raw.score"),
        _text("bank_flag_color", "Overall sentiment.", source="raw.bankFlag.color", known=("green", "orange", "red")),
        Column(
            "data_sanity_pct", "float", "Extraction quality; below 70 a bank report has no rating.", unit="0–100",
            source="raw.bankFlag.dataSanity",
        ),
        Column(
            "financial_risk_class", "int",
            "Class from the probability of default; its scale is not documented, higher is riskier (assumed).",
            source="raw.riskClass", assumed=True,
        ),
        Column(
            "default_probability", "float", "Probability of default; its horizon is not documented.", unit="0–1", lo=0, hi=1,
            source="raw.probabilityOfDefault",
        ),
        Column("period_start_date", "date", "First day covered by the statements.", source="raw.summary[].startDate"),
        Column("period_end_date", "date", "Last day covered by the statements.", source="raw.summary[].endDate"),
        _count("n_accounts", "Accounts told apart in the report."),
        _count("n_statements", "Statements.", source="raw.summary"),
        _count("n_transactions", "Transactions.", source="raw.allTransactions"),
        _count(
            "n_unread_transactions", "Transactions without an amount or a booking day: what rests on them is unknown.",
            source="raw.allTransactions",
        ),
        Column("n_days_covered", "int", "Days that at least one statement covers.", unit="days", lo=0),
        _money("total_credit", "Sum of the statements' credits, positive.", source="raw.summary[].totalCreditAmount"),
        _money("total_debit", "Sum of the statements' debits, positive.", source="raw.summary[].totalDebitAmount"),
        _text("api_version", "API version the report was asked with; null for files."),
        RAW_SHA256,
        EXTRA,
    ),
    _REPORT_KEY,
)  # fmt: skip

MEDIA = Table(
    "media",
    "One row per document uploaded with this store, as it was when it went online: the service documents no list of "
    "them, and no way to ask for one. Signed addresses are never stored.",
    (
        Column("medium_id", "id", "Id of the medium.", source="id", required=True),
        Column("request_id", "id", "Id of the analysis request.", source="request"),
        _text(
            "name", "Category of the document.", source="name",
            known=("certified_financial_statement", "bank_statement", "interim_financial_statement", "other"),
        ),
        _text("status", "State of the upload.", source="status", known=("draft", "online", "pending_extraction")),
        _text("type", "Kind of medium.", source="type", known=("document",)),
        _text("file_name", "Original file name.", source="meta.name"),
        Column("size_bytes", "int", "Size of the file.", unit="bytes", lo=0, source="meta.size"),
        _text("mime_type", "MIME type.", source="meta.type"),
        _text("period", "Period of the document.", source="meta.period", known=("month", "quarter", "semester", "year")),
        Column("document_date", "date", "Date of the document.", source="meta.date", assumed=True),
        CREATED_AT,
        FETCHED_AT,
        EXTRA,
    ),
    ("medium_id", "fetched_at"),
)  # fmt: skip

ACCOUNTS = Table(
    "accounts",
    "One row per account of a bank report.",
    (
        *_REPORT,
        _no("account_no", "Account within the report, from 0."),
        Column("iban", "id", "IBAN where the statements name one.", source="raw.summary[].iban"),
        _text(
            "basis", "How it was told apart: its IBAN, chained balances, or the assumption that there is one account.",
            choices=("iban", "chained", "assumed single"), required=True,
        ),
        _count("n_statements", "Statements of the account."),
        Column("start_date", "date", "First day covered."),
        Column("end_date", "date", "Last day covered."),
    ),
    (*_REPORT_KEY, "account_no"),
)  # fmt: skip

TRANSACTIONS = Table(
    "transactions",
    "Reports overlap and repeat days: a sum over this table counts them twice. `cashflow.entries` and `snapshot.entries` "
    "give every entry once. One row per entry of allTransactions. The members of a transaction are not documented: see "
    "the alias map.",
    (
        *_REPORT,
        ACCOUNT_NO,
        _no("transaction_no", "Position in the payload, from 0: two equal transactions stay two."),
        Column("statement_id", "id", "Statement the entry names.", source="statementId", assumed=True),
        Column("booked_date", "date", "Booking day.", source="date", assumed=True),
        Column("value_date", "date", "Value day.", source="valueDate", assumed=True),
        _text("label", "Label as printed on the statement.", source="label", assumed=True),
        _money("amount", "Above 0 is a credit, below 0 a debit.", source="amount", assumed=True),
        _money("balance_after", "Balance of the account after the entry.", source="balance", assumed=True),
        CURRENCY,
        _text("category", "The service's category.", source="category", assumed=True),
        _text("counterparty", "Payer or payee.", source="counterparty", assumed=True),
        _text("transaction_type", "The service's type.", source="type", assumed=True),
        Column("alerts", "list<text>", "Alerts the service raised on the entry.", source="alerts", assumed=True),
        Column("account_id", "id", "Account the entry names.", source="iban", assumed=True),
        Column("source_transaction_id", "id", "Id the service gives the entry.", source="id", assumed=True),
        EXTRA,
    ),
    (*_REPORT_KEY, "transaction_no"),
)

# White space that is folded before labels are compared: as itself, so that every engine means the same by it.
BLANKS = "[\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"

ENTRIES = Table(  # not stored: the result of `cashflow.entries` and `snapshot.entries`
    "entries",
    "Every entry of every company once: each day of an account from the report that speaks for it.",
    (
        COMPANY_KEY,
        *TRANSACTIONS.columns,
        _count("n_reports_seen", "Reports that cover the day of the account and hold this entry."),
    ),
    ("company_id", "booked_date", "report_id", "transaction_no"),
)

STATEMENT_SUMMARIES = Table(
    "statement_summaries",
    "One row per bank statement of a report.",
    (
        *_REPORT,
        ACCOUNT_NO,
        _no("statement_no", "Position in the payload, from 0."),
        Column("statement_id", "id", "Number of the statement.", source="statementId"),
        Column(
            "start_date",
            "date",
            "The previous closing day: the statement covers the days after it.",
            source="startDate",
        ),
        Column("end_date", "date", "Last day covered.", source="endDate"),
        Column("bic", "id", "BIC; null where empty.", source="bic"),
        Column("iban", "id", "IBAN; null where empty.", source="iban"),
        _count("page_count", "Pages.", source="pageCount"),
        _money("start_balance", "Balance at the start.", source="startBalance"),
        _money("end_balance", "Balance at the end.", source="endBalance"),
        _money("total_credit", "Credits, positive.", source="totalCreditAmount"),
        _money("total_debit", "Debits, positive.", source="totalDebitAmount"),
        _text(
            "movements",
            "The service's own verdict on the movements.",
            source="movements",
            known=("correct", "incorrect"),
        ),
        Column(
            "has_basis",
            "bool",
            "Whether its days rest on something: transactions that can all be read, or totals or balances that stood still; "
            "null counts as true.",
        ),
        EXTRA,
    ),
    (*_REPORT_KEY, "statement_no"),
)

FLOW_BASES = ("entries", "statement")

MONTHLY_SUMMARIES = Table(
    "monthly_summaries",
    "Take one account_no, or the null one: rows of accounts and rows of all accounts together hold the same money, and a "
    "sum over both doubles it. One row per report, account, currency and calendar month, computed once while tidying: "
    "what questions about months read. What nothing supports is null, never zero.",
    (
        *_REPORT,
        Column(
            "account_no",
            "int",
            "Account; null is all accounts together, on the days that every account covers.",
            lo=0,
        ),
        _text(
            "currency",
            "The one that the account's transactions name, null where none does; an account with several has a row of each.",
        ),
        Column("month", "date", "First day of the month.", required=True),
        _text(
            "flow_basis",
            "What the flows rest on: transactions that can all be read; else the totals of the statements that cover exactly "
            "this month; null is nothing, and then every figure is null.",
            choices=FLOW_BASES,
        ),
        _count("n_transactions", "Transactions booked; null unless the basis is entries."),
        _money("total_credit", "Credits, positive; null where nothing supports them."),
        _money("total_debit", "Debits, positive; null where nothing supports them."),
        _money("net_flow", "Credits less debits."),
        _money(
            "unreconciled_amount",
            "What separates transactions from the totals of their statements, by days; null where a total is missing.",
        ),
        _money("opening_balance", "Balance before the first covered day; null where unknown."),
        _money("closing_balance", "Balance after the last covered day; null where unknown."),
        _money("minimum_balance", "Lowest balance at the end of a covered day; null unless the basis is entries."),
        _money(
            "average_daily_balance",
            "Mean of the balances at the end of the covered days; null unless the basis is entries.",
        ),
        Column(
            "n_negative_days",
            "int",
            "Covered days that ended below zero; null where unknown.",
            unit="days",
            lo=0,
        ),
        Column(
            "n_days_covered",
            "int",
            "Days of the month that statements cover.",
            unit="days",
            lo=0,
            required=True,
        ),
        _count("n_alerts", "Alerts on the month's transactions; null unless the basis is entries."),
        Column(
            "is_complete", "bool", "The statements cover the whole month, and its flows have a basis.", required=True
        ),
    ),
    (*_REPORT_KEY, "account_no", "currency", "month"),
)

BANK_FLAG_CRITERIA = Table(
    "bank_flag_criteria",
    "One row per criterion of the bank flag.",
    (
        *_REPORT,
        _no("criterion_no", "Position in the payload, from 0."),
        Column("criterion", "text", CRITERION.doc, source="criteria", required=True),
        VALUE,
        VALUE_TEXT,
        Column(
            "quantile_pct",
            "float",
            "Direction not documented: never assumed.",
            unit="0–100",
            source="quantile",
        ),
        SENTIMENT,
        Column("popovers", "list<text>", "Sentences for the reader.", source="popovers"),
        EXTRA,
    ),
    (*_REPORT_KEY, "criterion_no"),
)

MOVEMENT_METRICS = Table(
    "movement_metrics",
    "One row per metric of the movement report.",
    (
        *_REPORT,
        _text("metric", "Name of the metric, as sent.", required=True),
        Column("period_value", "float", "Amount over the analysed period.", unit="as sent", source="period"),
        Column(
            "annualised_value",
            "float",
            "The service's extrapolation to a year.",
            unit="as sent",
            source="annualised",
        ),
        EXTRA,
    ),
    (*_REPORT_KEY, "metric"),
)

FINANCIAL_RATIOS = Table(
    "financial_ratios",
    "One row per criterion of a Financial X-Ray.",
    (
        *_REPORT,
        CRITERION,
        VALUE,
        VALUE_TEXT,
        _text("value_origin", "Origin of the value.", source="source"),
        EXTRA,
    ),
    (*_REPORT_KEY, "criterion"),
)

FINANCIAL_REASONS = Table(
    "financial_reasons",
    "One row per reason of a Financial X-Ray and criterion inside it: a selection, so absent is not zero.",
    (
        *_REPORT,
        _no("reason_no", "Position in the payload, from 0."),
        _text("type_code", "Kind of reason.", source="typeCode", known=("trafficLight",)),
        SENTIMENT,
        Column("weight", "float", "Meaning not documented.", source="weight"),
        Column("criterion", "text", "Criterion inside the reason; null where it names none."),
        VALUE,
        VALUE_TEXT,
        EXTRA,
    ),
    (*_REPORT_KEY, "reason_no", "criterion"),
)

OTHER_FACTS = Table(
    "other_facts",
    "Every scalar of the payload of a Doc, ESG, Manager or unknown report, whose members are not documented.",
    (
        *_REPORT,
        _text("path", "JSON path below raw.", required=True),
        VALUE,
        VALUE_TEXT,
        _text("value_type", "Type in the payload.", choices=("number", "text", "bool", "null"), required=True),
    ),
    (*_REPORT_KEY, "path"),
)

_VALID_FROM = Column("valid_from", "date", "First day on which the row was true; null is from the beginning.")
_RECORDED_AT = Column("recorded_at", "instant", "When the row was brought in.", unit="UTC", required=True)
_IS_WITHDRAWN = Column(
    "is_withdrawn",
    "bool",
    "The lender's newer file no longer has what the key names; null is false. Read hides such rows.",
)
_LENDER_CLOCKS = (_VALID_FROM, _RECORDED_AT, _IS_WITHDRAWN)

COMPANIES = Table(
    "companies",
    "The lender's companies. Of a company and `valid_from` the row recorded last holds.",
    (
        COMPANY_KEY,
        _text("company_name", "Name."),
        _text("sector_code", "NACE or APE code with its dot."),
        _text("size_class", "Size class, in the lender's words."),
        _text("region", "Region."),
        Column("group_id", "id", "Group of connected companies."),
        Column("is_natural_person", "bool", "Sole traders and the like: names are masked in reports."),
        *_LENDER_CLOCKS,
    ),
    ("company_id", "valid_from", "recorded_at"),
)

LOANS = Table(
    "loans",
    "The lender's loans and applications. Of a loan the row recorded last holds.",
    (
        Column("loan_id", "id", "Id of the loan or application.", required=True),
        COMPANY_KEY,
        Column("application_date", "date", "Day of the application."),
        _text("decision", "The lender's decision.", known=("accepted", "declined")),
        Column("origination_date", "date", "Day of the drawdown."),
        Column("maturity_date", "date", "Last instalment due."),
        _money("principal", "Amount lent."),
        CURRENCY,
        Column("refinanced_from", "id", "Loan this one replaces."),
        Column("closed_date", "date", "Day the loan ended."),
        _text("close_reason", "Why it ended."),
        *_LENDER_CLOCKS,
    ),
    ("loan_id", "recorded_at"),
)

EXPOSURES = Table(
    "exposures",
    "The lender's exposure per company and day. Of these the rows recorded last hold, in all currencies.",
    (
        COMPANY_KEY,
        Column("exposure_date", "date", "Day of the exposure.", required=True),
        _money("drawn", "Amount drawn."),
        _money("undrawn", "Amount committed and not drawn."),
        CURRENCY,
        *_LENDER_CLOCKS,
    ),
    ("company_id", "exposure_date", "currency", "recorded_at"),
)

OUTCOMES = Table(
    "outcomes",
    "What became of the companies; several spells per company are allowed. Of a company the rows recorded last hold.",
    (
        COMPANY_KEY,
        Column("default_date", "date", "Day of default; null is none seen."),
        Column("default_end_date", "date", "Day of cure."),
        _text("default_reason", "Reason."),
        Column("observed_until", "date", "Last day on which the company was watched."),
        Column("exit_date", "date", "Day the company left the book."),
        _text("exit_reason", "Why it left."),
        *_LENDER_CLOCKS,
    ),
    ("company_id", "default_date", "recorded_at"),
)

RAW = Table(
    "raw",
    "The bytes as received, one row per sighting that made a version.",
    (
        _text("kind", "What the object is.", choices=("report", "request", "medium"), required=True),
        Column("object_id", "id", "Id of the object.", required=True),
        Column("object_version", "int", "Version of the object.", lo=1, required=True),
        Column(
            "content_sha256",
            "id",
            "SHA-256 of the canonical form: white space and key order do not make a version.",
            required=True,
        ),
        RAW_SHA256,
        _text("api_version", "API version it was asked with; null for files."),
        FETCHED_AT,
        Column("body", "bytes", "The bytes; null where a row with that SHA-256 already holds them."),
    ),
    ("kind", "object_id", "object_version"),
)

DRIFT = Table(
    "drift",
    "Where payloads differ from what is documented, counted per commit.",
    (
        _text("source", "The service's word for the product, or request.", required=True),
        _text("json_path", "JSON path.", required=True),
        _text(
            "problem", "What was seen.",
            choices=("unknown_member", "unknown_value", "missing_member", "sub_cent", "rounded", "replaced_text", "wrong_code"),
            required=True,
        ),
        _text("example", "A masked example: shape only."),
        _count("n_reports", "Reports in which it was seen."),
        Column("first_report_id", "id", "The one with the lowest id."),
        Column("commit", "int", "Commit that counted it."),
    ),
    ("source", "json_path", "problem", "example", "commit"),
)  # fmt: skip

QUARANTINE = Table(
    "quarantine",
    "Payloads that could not be understood: kept, named, counted, and retried on request.",
    (
        RAW_SHA256,
        _text(
            "origin",
            "Where it came from: the file relative to what was named, member of an archive, line or place in a list; "
            "the path of a call. Null where that is not known any more.",
        ),
        Column("object_id", "id", "Id of the object, where it is known."),
        _text("stage", "Where it failed.", choices=("fetch", "decode", "tidy"), required=True),
        _text("code", "A stable word for the problem.", required=True),
        _text("json_path", "JSON path of the problem."),
        _text("message", "What was there and what was expected, without content."),
        FETCHED_AT,
        Column("body", "bytes", "The bytes as received; null where none arrived."),
    ),
    ("raw_sha256", "object_id", "fetched_at"),
)

RUNS = Table(
    "runs",
    "One row per run; n_fetched = n_unchanged + n_published + n_quarantined always.",
    (
        Column("run_id", "id", "Id of the run.", required=True),
        _text("command", "What was run.", required=True),
        Column("started_at", "instant", "Start.", unit="UTC", required=True),
        Column("finished_at", "instant", "End of this batch.", unit="UTC", required=True),
        _count("n_listed", "Ids seen in lists or files."),
        _count("n_fetched", "Objects received."),
        _count("n_unchanged", "Received and known already."),
        _count("n_published", "Received and published as a version."),
        _count("n_quarantined", "Received and not understood."),
        _count("n_withdrawn", "Known reports that the service no longer has."),
        _text("code_version", "Version of this package."),
        Column("commit", "int", "Commit that published the batch.", required=True),
    ),
    ("run_id", "commit"),
)

LAYOUTS = Table(
    "layouts",
    "The layouts that read reports of this store: a rebuild reads with them what the present ones refuse.",
    (
        Column("layout_sha256", "id", "SHA-256 of the layout as canonical JSON without its name.", required=True),
        _text("name", "Its name."),
        Column("lines", "json", "Every line of it, the inherited ones included.", required=True),
    ),
    ("layout_sha256",),
)

REPORT_TABLES = (
    REPORTS, ACCOUNTS, TRANSACTIONS, STATEMENT_SUMMARIES, MONTHLY_SUMMARIES, BANK_FLAG_CRITERIA, MOVEMENT_METRICS,
    FINANCIAL_RATIOS, FINANCIAL_REASONS, OTHER_FACTS,
)  # fmt: skip
REQUEST_TABLES = (REQUESTS, REQUEST_NOTES)
LENDER_TABLES = (COMPANIES, LOANS, EXPOSURES, OUTCOMES)
# What a statement of the lender is about: of each subject the rows recorded last hold, all of them.
SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "companies": ("company_id", "valid_from"),
    "loans": ("loan_id",),
    "exposures": ("company_id", "exposure_date"),
    "outcomes": ("company_id",),
}
# Days before which a row is not there, and days that are not known before they come, with what they take along.
BEGINS: Mapping[str, tuple[str, ...]] = {
    "companies": ("valid_from",),
    "loans": ("application_date", "valid_from"),
    "exposures": ("exposure_date", "valid_from"),
    "outcomes": (),
}
HAPPENS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "companies": {},
    "loans": {"origination_date": (), "closed_date": ("close_reason",)},
    "exposures": {},
    "outcomes": {
        "default_date": ("default_end_date", "default_reason"),
        "default_end_date": (),
        "exit_date": ("exit_reason",),
        "valid_from": (),
    },
}
BOOKKEEPING_TABLES = (RAW, DRIFT, QUARANTINE, LAYOUTS, RUNS)
DERIVED_TABLES = (*REPORT_TABLES, *REQUEST_TABLES, DRIFT)  # follow from `raw`, so that a rebuild can make them anew
TABLES: Mapping[str, Table] = {
    table.name: table for table in (*REQUEST_TABLES, *REPORT_TABLES, MEDIA, *LENDER_TABLES, *BOOKKEEPING_TABLES)
}


def table(name: str) -> Table:
    """The table of that name.

    Raises
    ------
    InputError
        There is no such table; the message names those there are.

    Examples
    --------
    >>> table("reports").key
    ('report_id', 'report_version')
    """
    if name not in TABLES:
        raise no_such("table", name, TABLES)
    return TABLES[name]


def to_markdown() -> str:
    """The data dictionary, as kept in ``data/README.md``."""
    head = (
        "# The data dictionary\n\n"
        "Generated from `xray_analytics/tables.py`; `xray tables --write data/README.md` renews it. The store lives in this\n"
        "folder and is not under version control.\n\n"
        "Money is decimal(18,4); a date is a calendar day; an instant is UTC with microseconds. *Assumed* marks what the\n"
        "service does not document.\n"
    )
    aliases = "\n".join(
        f"| `{column}` | {', '.join(f'`{n}`' for n in names)} |" for column, names in TRANSACTION_ALIASES.items()
    )
    pairs = ", ".join(f"`{credit}`/`{debit}`" for credit, debit in CREDIT_DEBIT_PAIRS)
    tail = (
        "## The alias map of a transaction\n\n*Assumed.* The members of a transaction are not documented; these names are looked for,\n"
        f"in order. An amount may also come as a pair: {pairs}.\n\n| column | members |\n|---|---|\n{aliases}\n"
    )
    return "\n".join([head, *(t.to_markdown() for t in TABLES.values()), tail])
