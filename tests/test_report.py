"""The portfolio report: safe, self-contained, honest about its base, and the same bytes for the same tables."""

import io
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import openpyxl
import pandas as pd
import pytest

from xray_analytics import tables
from xray_analytics.cli import demo, terminal
from xray_analytics.errors import InputError
from xray_analytics.report import masking, portfolio
from xray_analytics.report.document import page
from xray_analytics.report.portfolio import sheets
from xray_analytics.store import Store

HOSTILE = "<script>alert(1)</script> =cmd|' /C calc'!A0 \u202eشركة"
EDITION = portfolio.Edition(as_of="2025-06-30", commit=3)
N = 48


def conformed(name, rows):
    table = tables.table(name)
    return table.to_pandas(table.conform(pd.DataFrame(rows))) if len(rows) else table.to_pandas(table.empty())


def instant(days):
    return pd.to_datetime("2024-07-05", utc=True) + pd.to_timedelta(days, unit="D")


def reports(n=N):
    """A bank report of every company in July 2024, a second one in spring 2025, and a financial one of every other."""
    rng, rows = np.random.default_rng(5), []
    for no in range(n):
        for turn, day in enumerate((no % 20, 270 + no % 20)):
            rating = [1, 2, 3, 4, 5, None][(no + turn * (no % 3)) % 6]
            rows.append({
                "report_id": f"b{no:04d}{turn}", "product": "bank", "created_at": instant(day),
                "bank_risk_class": rating,
                "data_sanity_pct": 50.0 if rating is None else 70.0 + no % 30,
                "period_end_date": (instant(day) - pd.Timedelta(days=9)).date(),
                "n_transactions": 10, "n_days_covered": 180, "company_id": f"{no:09d}",
            })  # fmt: skip
        if no % 2:
            rows.append({
                "report_id": f"f{no:04d}", "product": "financial", "created_at": instant(200),
                "company_id": f"{no:09d}",
                "financial_risk_class": 1 + no % 5, "default_probability": float(rng.beta(1, 30)),
            })  # fmt: skip
    for row in rows:
        row |= {"report_version": 1, "available_at": row["created_at"], "fetched_at": row["created_at"]}
        row |= {"is_backfilled": False, "is_rated": True, "raw_sha256": "0" * 64}
    return conformed("reports", rows)


def months(n=N):
    rows = []
    for no in range(n):
        for turn, start in enumerate(("2024-01-01", "2024-10-01")):
            for month in pd.date_range(start, periods=6, freq="MS"):
                credit, n_days = 1000.0 * (no + 1) + month.month, month.days_in_month
                rows.append({
                    "report_id": f"b{no:04d}{turn}", "report_version": 1, "account_no": None, "month": month.date(),
                    "total_credit": credit, "total_debit": credit - 50, "net_flow": 50.0, "n_negative_days": no % 4,
                    "n_days_covered": n_days, "is_complete": True,
                })  # fmt: skip
    return conformed("monthly_summaries", rows)


def statements(n=N):
    rows = []
    for no in range(n):
        for turn, start in enumerate(("2024-01-01", "2024-10-01")):
            for at, month in enumerate(pd.date_range(start, periods=6, freq="MS")):
                end = month + pd.offsets.MonthEnd()
                rows.append({
                    "report_id": f"b{no:04d}{turn}", "report_version": 1, "account_no": 0, "statement_no": at,
                    "start_date": (month - pd.Timedelta(days=1)).date(), "end_date": end.date(),
                    "start_balance": 50.0 * at,
                    "end_balance": 50.0 * (at + 1) + (no == 7), "total_credit": 150.0, "total_debit": 100.0,
                    "movements": "correct",
                })  # fmt: skip
    return conformed("statement_summaries", rows)


def criteria(n=N):
    rows = [
        {
            "report_id": f"b{no:04d}{turn}", "report_version": 1, "criterion_no": at, "criterion": name,
            "quantile_pct": float(no * 2 % 100), "sentiment": ("good", "neutral", "bad")[no * 2 % 100 // 34],
        }
        for no in range(n) for turn in range(2) for at, name in enumerate((f"overdraft {HOSTILE}", "cashBuffer"))
    ]  # fmt: skip
    return conformed("bank_flag_criteria", rows)


def exposures(n=N):
    rows = [
        {
            "company_id": f"{no:09d}", "exposure_date": instant(330).date(), "drawn": 1000.0 * (no + 1), "undrawn": 0.0,
            "currency": "EUR", "valid_from": instant(330).date(), "recorded_at": instant(0),
        }
        for no in range(n)
    ]  # fmt: skip
    return conformed("exposures", rows)


def transactions(n=N):
    """Two payments a month, and of company 3 a rejected debit at the end."""
    rows = []
    for no in range(n):
        for turn, start in enumerate(("2024-01-01", "2024-10-01")):
            entries = [
                (day, label, amount)
                for month in pd.date_range(start, periods=6, freq="MS")
                for day, label, amount in (
                    (month + pd.Timedelta(days=3), f"VIR RECU {HOSTILE}", 150.0),
                    (month + pd.Timedelta(days=9), "PRLV SEPA LUNE", -100.0),
                )
            ]
            if no == 3:
                entries.append((pd.Timestamp(start) + pd.Timedelta(days=170), f"REJET PRLV {HOSTILE}", 100.0))
            rows += [
                {
                    "report_id": f"b{no:04d}{turn}", "report_version": 1, "account_no": 0, "transaction_no": at,
                    "booked_date": day.date(), "label": label, "amount": amount,
                }
                for at, (day, label, amount) in enumerate(entries)
            ]  # fmt: skip
    return conformed("transactions", rows)


def companies(n=N):
    rows = [
        {
            "company_id": f"{no:09d}", "company_name": f"{HOSTILE} {no}",
            "is_natural_person": [False, True, None][no % 3], "recorded_at": instant(0),
        }
        for no in range(n)
    ]  # fmt: skip
    return conformed("companies", rows)


@pytest.fixture(scope="module")
def frames():
    made = {name: conformed(name, []) for name in portfolio.READ}
    return made | {
        "reports": reports(), "monthly_summaries": months(), "statement_summaries": statements(),
        "companies": companies(), "bank_flag_criteria": criteria(), "exposures": exposures(),
        "transactions": transactions(),
    }  # fmt: skip


@pytest.fixture(scope="module")
def html(frames):
    return portfolio.render(portfolio.analysed(frames, EDITION))


class Page(HTMLParser):
    """Tags with their attributes, and the text of the page; unclosed elements stay in `open`."""

    VOID = ("meta", "link", "br", "img", "input", "hr")

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open += [tag] * (tag not in self.VOID)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def shown(html):
    return Page(html)


def test_page_is_whole_and_loads_and_runs_nothing(shown):
    assert shown.open == []
    assert not {tag for tag, _ in shown.tags} & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    for _, attrs in shown.tags:
        assert not [name for name in attrs if name.startswith("on") or name in ("src", "srcset", "action")]
        assert all(attrs.get(name, "#").startswith("#") for name in ("href", "xlink:href"))
    policy = next(attrs["content"] for _, attrs in shown.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "script" not in policy


def test_the_only_addresses_are_names_of_xml_vocabularies(html):
    assert set(re.findall(r'https?://[^"]*', html)) == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"@import|url\((?!#)", html)


def test_ids_are_unique_over_all_charts(shown):
    ids = [attrs["id"] for _, attrs in shown.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_at_least_five_charts_each_with_base_definition_and_numbers(shown):
    tags = [tag for tag, _ in shown.tags]
    assert tags.count("figure") == tags.count("figcaption") == tags.count("details") == tags.count("svg") == 21
    assert shown.text.count("Base: ") >= 21


def test_headline_numbers_and_their_definitions(shown):
    for words in (
        "Companies analysed 48 with at least one report: 48 bank, 24 financial",
        "Bank class 4 or 5 40.0% 16 of 40 rated companies, by their newest bank report; 8 more are unrated",
        "Newest report 2025-04-20 day of its creation at the service",
    ):
        assert words in shown.text


def test_stock_and_new_are_apart_and_no_average_default_probability(shown):
    assert "Bank risk class: stock" in shown.text
    assert "Bank risk class: newly analysed" in shown.text
    assert "Its horizon is not documented" in shown.text
    assert not re.search(r"(mean|average|median) (default probability|PD)", shown.text, re.IGNORECASE)
    assert "book" not in shown.text.replace("loan book", "")


def test_no_verdict_on_the_model_and_why(shown):
    assert "With 48 companies analysed and 0 with a recorded default" in shown.text
    assert "none is judged under 2,000" in shown.text


def test_same_tables_same_bytes_and_the_tables_unchanged(frames, html):
    before = {name: frame.copy() for name, frame in frames.items()}
    assert portfolio.render(portfolio.analysed(frames, EDITION)) == html
    for name, frame in frames.items():
        pd.testing.assert_frame_equal(frame, before[name])


@pytest.fixture(scope="module")
def hostile(frames):
    """A report in which every text from outside is hostile, and nobody is masked."""
    told = replace(EDITION, show_persons=True, synthetic=True, title="<script>", command="xray report --out '<b>'")
    return portfolio.analysed(frames, told)


def test_text_from_outside_stays_text_and_fiction_is_announced_first(hostile, shown):
    html = portfolio.render(hostile)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "\u202e" not in html
    text = Page(html).text
    assert "To make it again: xray report --out '<b>'" in text
    assert text.index("All companies in this report are fictitious") < text.index("Companies analysed")
    assert "fictitious" not in shown.text


def in_html(found, folder):
    page = Page(portfolio.render(found))
    assert "script" not in {tag for tag, _ in page.tags}
    return page.text


def in_svg(found, folder):
    element = ElementTree.fromstring(str(dict(portfolio.document(found).figures())["criteria"].svg))
    assert "script" not in {child.tag.rpartition("}")[2] for child in element.iter()}
    return " ".join(element.itertext())


def in_xlsx(found, folder):
    path = portfolio.write_portfolio_report(found, folder / "r.xlsx")
    cells = [cell for page in openpyxl.load_workbook(path) for row in page.iter_rows() for cell in row]
    assert "f" not in {cell.data_type for cell in cells}
    assert not [cell for cell in cells if cell.hyperlink]
    return " ".join(str(cell.value) for cell in cells)


def in_pdf(found, folder):
    data = portfolio.write_portfolio_report(found, folder / "r.pdf").read_bytes()
    assert not re.search(rb"/(JavaScript|JS|URI|Launch|AA|OpenAction /S|EmbeddedFile)\b", data)
    assert data.count(b"/FontFile2") == 2
    return "<script> of the PDF is glyphs"  # its text has no form in which it could be anything else


def in_terminal(found, folder):
    with pytest.MonkeyPatch.context() as patch:
        out = io.StringIO()
        patch.setattr(sys, "stdout", out)
        demo.show_portfolio(found)
        terminal.show_watch(found.listed.assign(**{"company_name": HOSTILE}), None)
    assert not set(out.getvalue()) & {"\x1b", "\u202e"}
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize("form", [in_html, in_svg, in_xlsx, in_pdf, in_terminal])
def test_hostile_text_is_text_in_every_form(hostile, tmp_path, form):
    text = form(hostile, tmp_path)
    assert "\u202e" not in text
    assert "<script>" in text


def test_natural_persons_are_masked_and_unknown_names_withheld():
    ids = pd.Series(["000000000", "000000001", "000000002", "999999999"], dtype="string")
    found = masking.with_names(pd.DataFrame({"company_id": ids}), companies(3))
    assert found["company_id"].tolist() == ["000000000", "…001", "000000002", "999999999"]
    assert found["company_name"].fillna("–").tolist() == [f"{HOSTILE} 0", "natural person", "name withheld", "–"]
    open_ = masking.with_names(pd.DataFrame({"company_id": ids}), companies(3), show_persons=True)
    assert open_["company_id"].tolist() == ids.tolist()
    assert open_["company_name"].iloc[1] == f"{HOSTILE} 1"


def test_no_code_of_a_natural_person_anywhere(frames, html):
    persons = frames["companies"].query("is_natural_person")["company_id"]
    assert len(persons) == 16
    assert [code for code in persons if code in html] == []


def test_what_cannot_be_drawn_says_why(frames):
    bare = {name: conformed(name, []) for name in portfolio.READ} | {"reports": frames["reports"]}
    text = Page(portfolio.render(portfolio.analysed(bare, EDITION))).text
    assert text.count("Not shown: cannot draw") == 6
    assert "Checks that are off 0 of 0 reconciliation checks that could be made" in text


def test_grid_counts_what_it_leaves_out():
    made = page.grid(pd.DataFrame({"n": np.arange(5) * 1000}), {"n": "N"}, most=2)
    assert (made.rows, made.n_more, made.is_number) == ((("0",), ("1,000",)), 3, (True,))


def test_a_base_without_figures_is_said():
    assert page.base_sentence(pd.DataFrame(), "companies") == "Base: not stated."


@pytest.fixture(scope="module")
def snapshot(frames, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    with store.writer() as writer:
        for name, frame in frames.items():
            wanted = [c for c in tables.table(name).names if c in frame]
            writer.append(name, tables.table(name).conform(frame[wanted]))
        writer.commit()
    return store.snapshot("2025-06-30")


@pytest.fixture(scope="module")
def twice(snapshot):
    return [portfolio.analyse(snapshot) for _ in range(2)]


def test_written_whole_private_and_never_over_another_file(twice, html, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        portfolio.write_portfolio_report(twice[0], path)
    assert portfolio.write_portfolio_report(twice[0], path, overwrite=True) == path
    assert path.read_text("utf-8") == html.replace("store commit 3", "store commit 1")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_place_that_cannot_be_written_is_named(twice, tmp_path):
    with pytest.raises(InputError, match=r"absent.report\.html"):
        portfolio.write_portfolio_report(twice[0], tmp_path / "absent" / "report.html")


def test_a_snapshot_before_the_first_report_has_none(snapshot):
    early = replace(snapshot, as_of=pd.Timestamp("2020-01-01", tz="UTC").to_pydatetime())
    with pytest.raises(InputError, match="run xray sync"):
        portfolio.analyse(early)


@pytest.mark.parametrize("form", ["html", "xlsx", "pdf"])
def test_every_form_is_the_same_bytes_again(twice, tmp_path, form):
    paths = [tmp_path / f"{n}.{form}" for n in range(2)]
    for found, path in zip(twice, paths, strict=True):
        portfolio.write_portfolio_report(found, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_another_ending_is_refused(twice, tmp_path):
    with pytest.raises(InputError, match=r"no form of a report; there are \.html, \.pdf, \.xlsx"):
        portfolio.write_portfolio_report(twice[0], tmp_path / "r.docx")


def test_small_counts_are_hidden_and_no_company_is_listed(frames):
    found = portfolio.analysed(frames, replace(EDITION, min_n=8))
    text = Page(portfolio.render(found)).text
    assert "Single companies are not listed" in text
    assert "Bank class 4 or 5" not in text
    assert [code for code in frames["companies"]["company_id"] if code in text] == []
    shown = [row[1] for row in dict(portfolio.document(found).figures())["bank_classes"].grid.rows]
    assert all(count in ("–", "0") or int(count) >= 8 for count in shown)
    names = {sheet.name for sheet in sheets.sheets(found, portfolio.document(found))}
    assert not names & {"Watch list", "Companies", "Apart", "Findings"}
    with pytest.raises(InputError, match="min_n is 1"):
        portfolio.analyse(None, min_n=1)


def test_change_is_counted_from_the_day_asked_for(frames):
    found = portfolio.analysed(frames, replace(EDITION, since="2024-07-10"))
    text = Page(portfolio.render(found)).text
    assert "24 financial; +30 since 2024-07-10" in text
    assert "What moved since 2024-07-10" in text
    assert EDITION.since == "2025-03-31"  # a month end before a month end


@pytest.mark.parametrize("since", ["yesterday", "2025-06-30", "2026-01-01"])
def test_a_day_that_is_not_before_is_refused(snapshot, since):
    with pytest.raises(InputError, match="since is"):
        portfolio.analyse(snapshot, since=since)


def test_migration__who_defaulted_or_closed_is_no_company_without_a_report(frames):
    """The lender's files say what became of them; the chart counts it."""
    from xray_analytics.report.portfolio.figures import movement_figures

    rows = [
        {"company_id": f"{no:09d}", "default_date": pd.Timestamp("2025-01-10") if no < 2 else None,
         "exit_date": pd.Timestamp("2025-01-10") if no == 2 else None, "recorded_at": instant(0)}
        for no in range(3)
    ]  # fmt: skip
    made = frames | {"outcomes": conformed("outcomes", rows)}
    assert portfolio.analysed(made, EDITION).ends["state"].tolist() == ["defaulted", "defaulted", "closed"]
    history = frames["reports"].assign(
        created_at=pd.Timestamp("2024-06-01", tz="UTC"), available_at=pd.Timestamp("2024-06-01", tz="UTC")
    )
    edition = replace(EDITION, as_of="2025-12-31", since="2025-09-30")
    shown = movement_figures(history, portfolio.analysed(made, EDITION).ends, edition)["bank_migration"]
    states = shown.grid.frame.groupby("to_state")["n"].sum()
    assert (states["defaulted"], states["closed"]) == (2, 1)
