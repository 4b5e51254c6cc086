"""Seven questions of a portfolio, through the package's public functions, against pandas on the same transactions.

    python tests/benchmarks/queries.py [CORPUS] [--companies 2000] [--rounds 5] [--work FOLDER]

CORPUS holds folders of report JSON; without it the sandbox makes `--companies`. Side `lazy` asks the package's analyses
of lazy DuckDB frames; `arrow` gives those that read small tables Arrow tables instead; `sql` asks the same rows in
DuckDB's own SQL, which settles nothing, counts nothing and returns less: the floor. pandas reads Parquet files of the
same rows with money already float64, and only the columns it needs; which entries a report covers is given to it.

Opening is apart from the questions: a snapshot checks every part against its SHA-256 and connects, once a process;
pandas opens nothing, and checks nothing. Reading Parquet is inside the questions, on both sides. Imports are not
counted. Printed: ratios of CPU seconds for the month questions, for all seven, for all seven with the opening, and the
peak memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpus import newest_of_each_company, store_of
from measure import costs, median, peak, ratio, rounds_of, tell

MONTHS = ("monthly", "volatility", "negative_days")
QUESTIONS = (*MONTHS, "category_share", "top_counterparty", "ratio_quantiles", "flag_heatmap")
SIDES = ("arrow", "lazy", "sql", "pandas")
PERIOD = ("period_start_date", "period_end_date")
COVERED = "booked_date > period_start_date AND booked_date <= period_end_date"  # the days a report speaks for
PLAIN = {
    "transactions": (
        "report_id", "transaction_no", "booked_date", "amount", "balance_after", "category", "counterparty",
        "is_covered",
    ),
    "reports": ("report_id", "company_id", "bank_risk_class", "financial_risk_class"),
    "financial_ratios": ("report_id", "criterion", "value"),
    "bank_flag_criteria": ("report_id", "criterion", "sentiment"),
}  # fmt: skip


def opened(work: Path) -> Any:
    """A snapshot whose parts are checked."""
    import xray_analytics as xa

    snap = xa.Store(work / "store").snapshot()
    for name in ("transactions", "monthly_summaries", *PLAIN):
        snap.scan(name)
    return snap


def ours(snap: Any, side: str) -> Callable[[str], dict[str, float]]:
    """The public functions, on one snapshot; companies' months are asked for once, as an analyst does."""
    import xray_analytics as xa

    table = snap.arrow if side == "arrow" else snap.scan
    kept: dict[str, Any] = {}

    def flows() -> Any:
        if "flows" not in kept:
            kept["flows"] = xa.cashflow.monthly_flows(table("monthly_summaries"), table("reports"))
        return kept["flows"]

    def ask(question: str) -> dict[str, float]:
        if question in MONTHS:
            return of_months(question, flows())
        if question == "category_share":
            found = xa.cashflow.category_shares(snap.scan("transactions"), snap.scan("reports"))
            return totals(
                found.assign(vol=found["credit"] + found["debit"], share=found["share_ratio"]), "vol", "share"
            )
        if question == "top_counterparty":
            found = xa.cashflow.counterparty_concentration(
                snap.scan("transactions"), snap.scan("reports"), named_only=True, side="credit"
            )
            return totals(found.rename(columns={"top_1_share_ratio": "top_share"}), "top_share")
        if question == "ratio_quantiles":
            found = xa.ratios.ratio_quantiles(table("financial_ratios"), table("reports"))
            return totals(found, "p25", "p50", "p75")
        found = xa.flags.criterion_prevalence(table("bank_flag_criteria"), table("reports"))
        return totals(found[found["sentiment"] == "bad"], "n_companies")

    return ask


def of_months(question: str, flows: Any) -> dict[str, float]:
    """What is asked of the months of companies."""
    if question == "monthly":
        return totals(flows, "total_credit", "total_debit", "net_flow")
    if question == "volatility":
        return totals(flows.groupby("company_id")["net_flow"].agg(["std", "mean"]), "mean")
    return {"n": int(flows.groupby("company_id")["n_negative_days"].sum().size)}


def by_sql(snap: Any) -> Callable[[str], dict[str, float]]:
    """DuckDB's own SQL on the lazy tables, the months on the monthly ones."""
    kept: dict[str, Any] = {}

    def of_reports(name: str, *columns: str) -> Any:
        return snap.scan(name).join(snap.scan("reports").project(", ".join(("report_id", *columns))), "report_id")

    def flows() -> Any:
        if "flows" not in kept:
            months = of_reports("monthly_summaries", "company_id").filter("account_no IS NULL")
            names = ("total_credit", "total_debit", "net_flow", "n_negative_days")
            sums = ", ".join(f"sum({name}) AS {name}" for name in names)
            last = "max_by(closing_balance, month) AS closing_balance"
            kept["flows"] = months.aggregate(f"company_id, month, {sums}, {last}", "company_id, month").df()
        return kept["flows"]

    def ask(question: str) -> dict[str, float]:
        if question in MONTHS:
            return of_months(question, flows())
        if question == "category_share":
            joined = of_reports("transactions", "company_id", *PERIOD).filter(COVERED)
            found = joined.aggregate("company_id, category, sum(abs(amount)) AS vol", "company_id, category").df()
            found["share"] = found["vol"] / found.groupby("company_id")["vol"].transform("sum")
            return totals(found, "vol", "share")
        if question == "top_counterparty":
            covered = of_reports("transactions", *PERIOD).filter(COVERED)
            credits = covered.filter("amount > 0 AND counterparty IS NOT NULL")
            by_payer = credits.aggregate("report_id, counterparty, sum(amount) AS v", "report_id, counterparty")
            return totals(by_payer.aggregate("report_id, max(v) / sum(v) AS top_share", "report_id").df(), "top_share")
        if question == "ratio_quantiles":
            known = of_reports("financial_ratios", "financial_risk_class").filter("value IS NOT NULL")
            shares = ", ".join(f"quantile_cont(value, 0.{share}) AS p{share}" for share in (25, 50, 75))
            keys = "criterion, financial_risk_class"
            return totals(known.aggregate(f"{keys}, {shares}", keys).df(), "p25", "p50", "p75")
        bad = of_reports("bank_flag_criteria", "bank_risk_class").filter("sentiment = 'bad'")
        found = bad.aggregate("criterion, bank_risk_class, count(*) AS n_companies", "criterion, bank_risk_class").df()
        return totals(found, "n_companies")

    return ask


def plain(work: Path) -> Callable[[str], dict[str, float]]:
    """pandas as an analyst writes it, frames kept between the questions."""
    import pandas as pd

    kept: dict[str, Any] = {}

    def load(name: str) -> Any:
        if name not in kept:
            kept[name] = pd.read_parquet(work / "plain" / f"{name}.parquet", columns=list(PLAIN[name]))
        return kept[name]

    def joined() -> Any:
        if "joined" not in kept:
            found = load("transactions").merge(load("reports"), on="report_id")
            days = pd.to_datetime(found["booked_date"])
            found["month"] = days.to_numpy().astype("datetime64[M]").astype("datetime64[s]")
            kept["joined"] = found
        return kept["joined"]

    def ask(question: str) -> dict[str, float]:  # noqa: PLR0911 - one answer a question
        if question == "monthly":
            t = joined()
            t = t.assign(total_credit=t["amount"].clip(lower=0), total_debit=-t["amount"].clip(upper=0))
            groups = t.groupby(["company_id", "month"], sort=False)
            found = groups[["total_credit", "total_debit", "amount"]].sum().rename(columns={"amount": "net_flow"})
            known = t.dropna(subset=["balance_after"]).sort_values(["booked_date", "transaction_no"])
            found["closing"] = known.groupby(["company_id", "month"], sort=False)["balance_after"].last()
            return totals(found, "total_credit", "total_debit", "net_flow")
        if question == "volatility":
            net = joined().groupby(["company_id", "month"], sort=False)["amount"].sum()
            return totals(net.groupby("company_id").agg(["std", "mean"]), "mean")
        if question == "negative_days":
            low = joined().groupby(["company_id", "booked_date"], sort=False)["balance_after"].min()
            return {"n": int((low < 0).groupby("company_id").sum().size)}
        if question == "category_share":
            t = joined()
            t = t[t["is_covered"]]
            found = t["amount"].abs().groupby([t["company_id"], t["category"]], dropna=False).sum()
            found = found.rename("vol").reset_index()
            found["share"] = found["vol"] / found.groupby("company_id")["vol"].transform("sum")
            return totals(found, "vol", "share")
        if question == "top_counterparty":
            t = load("transactions")
            t = t[t["is_covered"] & (t["amount"] > 0) & t["counterparty"].notna()]
            by_payer = t.groupby(["report_id", "counterparty"], sort=False)["amount"].sum().groupby("report_id")
            return totals((by_payer.max() / by_payer.sum()).rename("top_share").reset_index(), "top_share")
        if question == "ratio_quantiles":
            found = load("financial_ratios").merge(load("reports"), on="report_id").dropna(subset=["value"])
            groups = found.groupby(["criterion", "financial_risk_class"], dropna=False)["value"]
            return totals(groups.quantile([0.25, 0.5, 0.75]).unstack().set_axis(["p25", "p50", "p75"], axis=1), "p25",
                          "p50", "p75")  # fmt: skip
        found = load("bank_flag_criteria").merge(load("reports"), on="report_id")
        bad = (found["sentiment"] == "bad").groupby([found["criterion"], found["bank_risk_class"]], dropna=False)
        return totals(bad.sum().rename("n_companies").reset_index(), "n_companies")

    return ask


def totals(frame: Any, *columns: str) -> dict[str, float]:
    """The sum of each column to seven digits."""
    return {column: float(f"{float(frame[column].sum()):.7g}") for column in columns}


def prepare(corpus: Path | None, companies: int, work: Path) -> None:
    """The store, and the same rows as pandas would like to find them; made once."""
    import pyarrow.parquet as pq

    import xray_analytics as xa

    store_of(newest_of_each_company(corpus, companies, work / "reports"), work / "store")
    if (work / "plain").exists():
        return
    snap = xa.Store(work / "store").snapshot()
    (work / "plain").mkdir()
    for name, columns in PLAIN.items():
        rows = snap.scan(name)
        if name == "transactions":
            periods = snap.scan("reports").project(", ".join(("report_id", *PERIOD)))
            rows = rows.join(periods, "report_id").project(f"*, coalesce({COVERED}, false) AS is_covered")
        found = rows.project(", ".join(columns)).to_arrow_table()
        pq.write_table(found, work / "plain" / f"{name}.parquet", compression="zstd", compression_level=1)


def load_everything(xa: Any) -> None:
    """Ask the analyses of empty frames, so that whatever they import is there."""
    from xray_analytics import engine

    connection = engine.connect_duckdb()
    empty = {name: table.empty() for name, table in xa.tables.TABLES.items()}
    for frame in (lambda name: empty[name], lambda name: connection.from_arrow(empty[name])):
        xa.cashflow.monthly_flows(frame("monthly_summaries"), frame("reports"))
        xa.cashflow.category_shares(frame("transactions"), frame("reports"))
        xa.cashflow.counterparty_concentration(frame("transactions"), frame("reports"))
        xa.ratios.ratio_quantiles(frame("financial_ratios"), frame("reports"))
        xa.flags.criterion_prevalence(frame("bank_flag_criteria"), frame("reports"))


def measure(side: str, work: Path) -> int:
    """One side, in this process."""
    import duckdb  # noqa: F401
    import pandas as pd
    import pyarrow.parquet  # noqa: F401

    import xray_analytics as xa

    pd.DataFrame({"a": ["warm"], "b": [1.0]}).groupby("a")["b"].quantile([0.5])
    load_everything(xa)
    spent, found = {}, {}
    with costs() as spending:
        start = time.process_time()
        if side == "pandas":
            ask = plain(work)
        else:
            snap = opened(work)
            ask = by_sql(snap) if side == "sql" else ours(snap, side)
        opening, before = time.process_time() - start, time.process_time()
        for question in QUESTIONS:
            found[question] = ask(question)
            spent[question], before = time.process_time() - before, time.process_time()
    months = sum(spent[question] for question in MONTHS)
    return tell(spending, months=months, opening=opening, asked=sum(spent.values()), spent=spent, **found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--companies", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=Path, help="folder that is kept; default a temporary one")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return measure(arguments.side, arguments.work)
    with tempfile.TemporaryDirectory() as folder:
        work = (arguments.work or Path(folder)).absolute()
        work.mkdir(parents=True, exist_ok=True)
        prepare(arguments.corpus, arguments.companies, work)
        found = rounds_of(__file__, SIDES, arguments.rounds, ["--work", str(work)], same=QUESTIONS)
    for side in SIDES[:3]:
        print(ratio(found, "pandas", side, "months").line(f"CPU, month questions, pandas over {side}", least=20))
        print(ratio(found, "pandas", side, "asked").line(f"CPU, all seven, pandas over {side}", least=2.5))
        print(ratio(found, "pandas", side).line(f"CPU, all seven and the opening, pandas over {side}"))
        print(f"  opening {side}: {median(found, side, 'opening') * 1000:.0f} ms CPU")
    print("peak MiB: " + ", ".join(f"{side} {peak(found, side):.0f}" for side in found))
    for question in QUESTIONS:
        ms = (sorted(one["spent"][question] for one in found[side])[len(found[side]) // 2] * 1000 for side in found)
        print(f"  {question:<17} CPU ms, " + ", ".join(f"{s} {t:.0f}" for s, t in zip(found, ms, strict=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
