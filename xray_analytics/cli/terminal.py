"""How things look on a terminal: frames as aligned tables, and nothing in them that could steer it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.markup import escape
from rich.table import Table

from .. import files
from .. import tables as declared
from ..console import console
from ..errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from ..ingest.fitting import Fit
    from ..ingest.run import IntakeResult
    from ..schema import Table as Declared
    from ..tidy.inspection import Inspection

MAX_ROWS = 40
MAX_COLUMNS = 9
MAX_ISSUES = 10
_SHARES = ("_ratio", " share", "like for like")  # endings of columns that are shown as percentages

_ROUND = ("before", "after", "drawn", "total_credit", "total_debit", "net_flow")  # cents are noise beside their size
_NARROW = 110  # characters; on less the least needed columns of a list give way


def show(frame: pd.DataFrame, *, title: str, note: str = "", max_rows: int = MAX_ROWS) -> None:
    """Print a frame: numbers right-aligned, nulls as a dash; what does not fit is cut with a hint."""
    hidden = list(frame.columns[MAX_COLUMNS:])
    frame = frame.iloc[:, :MAX_COLUMNS]
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for name, dtype in frame.dtypes.items():
        is_number = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
        is_whole = is_number or pd.api.types.is_datetime64_any_dtype(dtype) or name == "company_id"
        table.add_column(
            str(name),
            justify="right" if is_number else "left",
            no_wrap=is_whole,
            overflow="ellipsis" if is_whole else "fold",
        )
    for row in frame.head(max_rows).itertuples(index=False):
        table.add_row(*(cell(value, str(name)) for name, value in zip(frame.columns, row, strict=True)))
    out = console()
    out.print(table)
    if len(frame) > max_rows:
        out.print(f"… {len(frame) - max_rows:,} more rows; --limit shows more", style="dim")
    if hidden:
        out.print(f"… {len(hidden)} more columns; --columns chooses: {', '.join(map(str, hidden))}", style="dim")
    if note:
        out.print(note, style="dim")
    out.print()


def cell(value: Any, name: str = "") -> str:
    """One value as text: ratios as percentages, dates without midnight, control characters made visible."""
    if isinstance(value, list):
        return plain(", ".join(map(str, value)))
    if value is None or pd.isna(value):
        return "–"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}" if value == value.normalize() else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:.1%}" if name.endswith(_SHARES) else f"{value:,.0f}" if name in _ROUND else f"{value:,.2f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if not name.endswith(("_class", "_no", "_version", "commit")) else str(value)
    return plain(str(value))


def plain(text: str) -> str:
    """Text that cannot steer the terminal: markup escaped, control and direction characters replaced."""
    return escape(visible(text))


def visible(text: str, keep: str = "") -> str:
    """Text with control and direction characters replaced, but for those to keep."""
    return "".join(c if c.isprintable() or c in keep else "·" for c in text)


def show_totals(result: IntakeResult) -> None:
    """Print the control totals of a run and its first issues."""
    out = console()
    if not result.commits and not result.issues:
        out.print(f"Nothing new: {result.n_unchanged:,} received and unchanged, {result.n_known:,} more known already.")
        return
    out.print(
        f"{result.n_fetched:,} received = {result.n_published:,} published + {result.n_unchanged:,} unchanged "
        f"+ {result.n_quarantined:,} quarantined"
        + (f"; {result.n_failed:,} could not be fetched" if result.n_failed else "")
        + (f"; {result.n_withdrawn:,} withdrawn" if result.n_withdrawn else "")
        + (f"; {result.n_forgotten:,} of companies that were forgotten, not kept" if result.n_forgotten else "")
        + f"; {len(result.commits)} commit{'s' * (len(result.commits) != 1)}."
    )
    for doubt, n_reports in result.doubts.items():
        out.print(f"  {n_reports:,} reports contradict how they were read: {doubt}; see `xray inspect` and `xray fit`.")
    for issue in result.issues[:MAX_ISSUES]:
        out.print(f"  {plain(issue.subject)} ({plain(issue.code)}) {plain(issue.message)}")
    if len(result.issues) > MAX_ISSUES:
        out.print(f"  … {len(result.issues) - MAX_ISSUES} more; `xray read quarantine` lists them.")


def show_watch(rows: pd.DataFrame, limit: int | None) -> None:
    """Print the watch list: worst first, one row per company and rule."""
    base, out = rows.attrs["base"], console()
    columns = ["company_id", "company_name", "severity", "rule", "before", "after", "first_seen", "evidence"]
    if out.width < _NARROW:
        columns = [name for name in columns if name not in ("company_name", "before", "after")]
    shown = rows[columns].assign(rule=rows["rule"].str.replace("_", " "))
    title = f"Watch list as of {base['as_of'][:10]}: {rows['company_id'].nunique():,} of {base['used']:,} companies"
    unjudged = {name.removesuffix("_not_judged"): n for name, n in base["excluded"].items() if n and "judged" in name}
    note = "No row is no clean bill."
    if unjudged:
        note += " Not judged: " + ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in unjudged.items()) + "."
    show(shown, title=title, note=note, max_rows=limit or MAX_ROWS)


def show_fit(found: Fit, out: Path) -> None:
    """Print the evidence of a fit, what must be answered, or what fails."""
    for line in found.evidence:
        say(plain(line))
    if found.n_unread:
        say(f"{found.n_unread:,} samples could not be read at all, and were left out.")
    if found.failures:
        say("Nothing fits. What fails for the best candidates:")
        for line in found.failures:
            say(f"  {plain(line)}")
        say("Give more or other samples; `--diagnostic FILE` describes them for support, without their content.")
    elif found.questions:
        say("Nothing in the reports decides this; answer and run it again:")
        for question in found.questions:
            say(f"  {plain(str(question))}")
    else:
        say(f"Written: {out}. Next: xray import … --layout {out}")


def show_inspection(found: Inspection, file: Path) -> None:
    """Print what of a report was recognised, what not, and the settings lines that would map it."""
    rows = pd.DataFrame(list(found.recognised.items()), columns=pd.Index(["member", "column"]))
    show(rows, title="Recognised members of a transaction")
    if found.unrecognised:
        unknown = pd.DataFrame(list(found.unrecognised.items()), columns=pd.Index(["member", "n_entries"]))
        show(unknown, title="Not recognised: kept in `extra`")
        say("To map one, put a line such as this into the settings file (XRAY_SETTINGS):")
        sys.stdout.write(found.settings_lines)
    if found.unrecognised or not found.n_transactions:
        what = "No list of transactions was found" if not found.n_transactions else "Members are not recognised"
        say(f"{what}; a layout found from samples reads them: xray fit {file} …")


def say(text: str) -> None:
    """Print one paragraph."""
    console().print(text, soft_wrap=True)


def show_status(facts: Mapping[str, Any]) -> None:
    """Print what `Store.status` says."""
    say(f"{plain(facts['store'])}: commit {facts['commit']} of {facts['committed_at']:%Y-%m-%d %H:%M} UTC")
    rows = pd.DataFrame(list(facts["rows"].items()), columns=pd.Index(["table", "rows"]))
    show(rows, title="Rows", note=f"{facts['n_bytes'] / 1e6:,.1f} MB in {facts['n_files']:,} files")
    if facts["last_run"]:
        show(pd.DataFrame([facts["last_run"]]), title="Last run")
    if facts["n_quarantined"]:
        say(f"Payloads in quarantine now: {facts['n_quarantined']:,}; `xray read quarantine` names them.")
    if facts["n_withdrawn"]:
        say(f"Reports no longer at the service: {facts['n_withdrawn']:,}; they are kept here.")


def show_tables(table: Declared | None) -> None:
    """Print all tables, or the columns of one."""
    if table is None:
        rows = [(t.name, len(t.columns), t.doc) for t in declared.TABLES.values()]
        show(pd.DataFrame(rows, columns=pd.Index(["table", "columns", "meaning"])), title="Tables")
        return
    cells = [(c.name, c.kind, c.unit, c.doc + (" (assumed)" if c.assumed else ""), c.source) for c in table.columns]
    frame = pd.DataFrame(cells, columns=pd.Index(["column", "kind", "unit", "meaning", "source"]))
    show(frame, title=f"{table.name}: {table.doc}", note=f"Key: {', '.join(table.key)}")


def write_rows(
    rows: pa.Table | pd.DataFrame, form: str, out: Path | None, *, title: str, raw_text: bool = False
) -> None:
    """Rows as CSV or JSON to a file or to standard output, as Parquet or XLSX to a file.

    Raises
    ------
    InputError
        There is no such format, a file is needed and none is named, or it exists already.
    """
    from ..grammar import forms  # which needs more of Arrow than a list on screen

    if form not in forms.FORMS:
        raise InputError(f"no format {form!r}; there are table, {', '.join(forms.FORMS)}")
    if out is None and form in ("parquet", "xlsx"):
        raise InputError(f"{form} needs a file: --out rows.{form}")
    _emit(forms.encoded(rows, form, title=title, raw_text=raw_text), out)


def _emit(content: bytes, out: Path | None) -> None:
    if out is None:
        text = content.decode()
        sys.stdout.write(visible(text, keep="\n") if sys.stdout.isatty() else text)
        return
    files.save(content, out, instead="name another file")
