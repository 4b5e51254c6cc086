"""A backtest for the model team: data, exclusions, dictionary, and a description that can be checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from .. import tables
from ..analysis import backtest
from ..errors import InputError, listed
from ..ingest import lender
from ..schema import Column
from . import package
from .formats import WRITERS, Content, stata_names, to_csv
from .pseudonyms import Pseudonyms, default_key_file, read_key
from .saving import DESCRIPTOR, check_target, save_folder

if TYPE_CHECKING:
    from ..store.snapshot import Snapshot

Ids = Literal["pseudonym", "plain"]
KEY = ("company_id", "as_of_date")
# Constant in the data: rows that are used are mature and not excluded.
_CONSTANT = ("excluded_because", "is_mature")
_EXCLUSION_COLUMNS = (
    "company_id", "as_of_date", "report_id", "report_version", "risk_class", "defaulted", "is_mature", "is_censored",
)  # fmt: skip
_PSEUDONYM = "HMAC pseudonym; the key is not part of the export."
_DICTIONARY = tuple(
    Column(name, "text", doc)
    for name, doc in (
        ("column", "Name of the column in data and exclusions."),
        ("kind", "id, text, date, int, float or bool."),
        ("unit", "Unit; empty is none."),
        ("meaning", "What it says."),
        ("stata_name", "Its name in data.dta, which Stata limits to 32 characters."),
    )
)


@dataclass(frozen=True)
class Backtest:
    """Observations and features of one snapshot, and where they come from; made by `make_backtest`.

    Features of your own join with ``dataclasses.replace(made, features=…)``: the same rows, and for each new column
    its kind, unit and doc in ``features.attrs["columns"]``.
    """

    observations: pd.DataFrame = field(repr=False)
    features: pd.DataFrame = field(repr=False)
    source: dict[str, Any]
    store: Path = field(repr=False)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the data, with meaning and unit."""
        described = self.features.attrs.get("columns", {})
        names = [name for name in self.features.columns if name not in KEY]
        unknown = [name for name in names if name not in described]
        if unknown:
            raise InputError(
                f"nobody says what the feature {unknown[0]} means; put its kind, unit and doc into "
                'features.attrs["columns"]'
            )
        own = [Column(n, *(described[n].get(part) for part in ("kind", "doc", "unit"))) for n in names]
        return (*(c for c in backtest.OBSERVATIONS.columns if c.name not in _CONSTANT), *own)

    @property
    def data(self) -> pd.DataFrame:
        """The rows that a model may use, label and features together: mature, and not excluded."""
        rows = self.observations
        if not rows[list(KEY)].reset_index(drop=True).equals(self.features[list(KEY)].reset_index(drop=True)):
            raise InputError("features and observations are not of the same rows; make them of the same observations")
        features = self.features.drop(columns=list(KEY)).reset_index(drop=True)
        joined = pd.concat([rows.reset_index(drop=True), features], axis=1)
        used = joined["excluded_because"].isna() & joined["is_mature"]
        return joined.loc[used, [c.name for c in self.columns]].reset_index(drop=True)

    @property
    def exclusions(self) -> pd.DataFrame:
        """The other rows, and why; ``immature`` where the horizon had not passed."""
        rows = self.observations
        because = rows["excluded_because"].mask(rows["excluded_because"].isna() & ~rows["is_mature"], "immature")
        return rows[list(_EXCLUSION_COLUMNS)].assign(excluded_because=because)[because.notna()].reset_index(drop=True)


def make_backtest(
    snapshot: Snapshot, *, outcomes: str | Path | pd.DataFrame | None = None, code_type: str | None = None, **terms: Any
) -> Backtest:
    """Observations and features of a snapshot.

    Parameters
    ----------
    snapshot
        Everything known (no `as_of`): the backtest looks back by itself. Its clock is that of the backtest.
    outcomes
        A file (CSV, XLSX, Parquet) or frame of the table `outcomes`; default what is attached to the store.
    code_type
        What kind of company numbers the file has; default the one of the requests.
    **terms
        `as_of_dates`, `horizon_months`, `outcomes_known_until` (default the last `observed_until`), `product` and
        whatever else `backtest.observations` takes, but for the clock.

    Raises
    ------
    InputError
        The snapshot is of a moment, there are no outcomes, or as `backtest.observations`.
    """
    if snapshot.as_of is not None:
        raise InputError(
            "a backtest looks back by itself: give a snapshot of everything known, and outcomes_known_until as the day "
            "at which it ends"
        )
    histories = {name: snapshot.history(name) for name in backtest.FEATURE_TABLES}
    known = {name: rows for name, rows in histories.items() if name != "companies" or len(rows)}
    found, origin = _outcomes(snapshot, outcomes, code_type)
    terms["outcomes_known_until"] = terms.get("outcomes_known_until") or _last_observed(found)
    rows = backtest.observations(known["reports"], found, clock=snapshot.clock, **terms)
    manifest = snapshot.manifest
    source = {
        "commit": manifest.number, "committed_at": manifest.created_at.isoformat(), "manifest": manifest.digest,
        "outcomes": origin,
    }  # fmt: skip
    return Backtest(rows, backtest.features(known, rows), source, snapshot.root)


def _outcomes(
    snapshot: Snapshot, given: str | Path | pd.DataFrame | None, code_type: str | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    if given is None:
        attached = snapshot.history("outcomes")
        if attached.empty:
            raise InputError("the store holds no outcomes; `xray attach` brings them in, or --outcomes names a file")
        return attached, {"from": "store", "n_rows": len(attached)}
    kind = code_type or lender.code_type_of(snapshot.arrow("requests", columns=["company_id", "company_code_type"]))
    frame = lender.read_frame(given, tables.OUTCOMES, code_type=kind)
    said = kind if isinstance(kind, str) else " and ".join(sorted(set(kind.values())))
    if isinstance(given, pd.DataFrame):
        return frame, {"from": "frame", "n_rows": len(frame), "code_type": said}
    digest = hashlib.sha256(Path(given).read_bytes()).hexdigest()
    return frame, {"from": "file", "n_rows": len(frame), "code_type": said, "sha256": digest}


def _last_observed(outcomes: pd.DataFrame) -> Any:
    last = outcomes["observed_until"].max()
    if pd.isna(last):
        raise InputError("the outcomes do not say observed_until; say up to which day they are known (--known-until)")
    return last.date()


def write_backtest(  # noqa: PLR0913
    made: Backtest,
    folder: str | Path,
    *,
    formats: Iterable[str] = ("parquet", "csv", "feather", "stata"),
    ids: Ids = "pseudonym",
    key_file: str | Path | None = None,
    command: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a backtest as a folder that describes itself.

    ==========================  ====================================================================================
    file                        what
    ==========================  ====================================================================================
    ``data.…``                  the rows a model may use, in each format; mature, not excluded, label and features
    ``exclusions.csv.gz``       every other row, and why
    ``dictionary.csv.gz``       meaning and unit of each column, and its name in Stata
    ``datapackage.json``        schema, SHA-256, control sums, default rates by exclusion, terms, commit, versions
    ==========================  ====================================================================================

    Parameters
    ----------
    made
        The result of `make_backtest`.
    folder
        Made anew, readable by its owner only; all files or none.
    formats
        Of ``parquet``, ``csv``, ``feather``, ``stata``, ``xlsx``. CSV is gzipped; text that a spreadsheet could take
        for a formula starts with an apostrophe in it. A sheet of XLSX keeps 15 digits of a number, the others all.
    ids
        ``"pseudonym"``: companies and reports by HMAC-SHA256; ``"plain"``: as they are.
    key_file
        The key of the pseudonyms, outside the store and the folder; made with mode 0600 where it is missing. Default
        `default_key_file`.
    command
        What repeats the export, for `datapackage.json`.
    overwrite
        Replace an earlier export in the folder; other files are never touched.

    Returns
    -------
    Path
        Of `datapackage.json`. Same inputs, terms, key and library versions give the same bytes.

    Raises
    ------
    InputError
        The folder exists, a format is unknown, the key is in the store or in the folder or readable by others, no row
        can be used, or a feature is not described.

    Examples
    --------
    ::

        made = make_backtest(
            store.snapshot(), product="bank", as_of_dates=xa.backtest.as_of_grid("2023-01-01", "2024-12-31"),
            horizon_months=12, outcomes_known_until="2025-12-31",
        )
        write_backtest(made, "backtest")
        data = pd.read_parquet("backtest/data.parquet")
        train = data[data["split"] == "train"].dropna(subset=["defaulted"])
        fitted = LogisticRegression().fit(train[["bank_score"]], train["defaulted"])  # of scikit-learn
    """
    target = Path(folder)
    chosen = list(dict.fromkeys(listed(formats, "formats")))
    unknown = [form for form in chosen if form not in WRITERS]
    if unknown or not chosen:
        raise InputError(f"formats are {chosen}; give some of {', '.join(WRITERS)}")
    if ids not in ("pseudonym", "plain"):
        raise InputError(f"ids is {ids!r}; give pseudonym or plain")
    check_target(target, overwrite=overwrite)
    keys = None
    if ids == "pseudonym":
        keys = read_key(Path(key_file or default_key_file()), outside=(made.store, target))
    files = render(made, chosen, keys, command)
    save_folder(files, target, overwrite=overwrite)
    return target / DESCRIPTOR


def render(made: Backtest, formats: Sequence[str], keys: Pseudonyms | None, command: str | None) -> dict[str, bytes]:
    """The files by name, `datapackage.json` last."""
    data, exclusions = (_ordered(frame, keys) for frame in (made.data, made.exclusions))
    if data.empty:
        raise InputError("no observation can be used: all are excluded or immature; see backtest.default_rates")
    columns = tuple(_named(c, keys) for c in made.columns)
    reasons = (*backtest.EXCLUSIONS, "immature")
    left_out = (
        *(_named(backtest.OBSERVATIONS[name], keys) for name in _EXCLUSION_COLUMNS),
        Column("excluded_because", "text", "Why it cannot be used.", choices=reasons, required=True),
    )
    until = datetime.fromisoformat(made.observations.attrs["terms"]["outcomes_known_until"])
    title = f"Backtest of {made.observations.attrs['terms']['product']} reports"
    content = Content(data, columns, until, title)
    files = {WRITERS[form][0]: WRITERS[form][1](content) for form in formats}
    resources = [
        package.resource(f"data-{form}", WRITERS[form][0], files[WRITERS[form][0]], form=form, columns=columns, key=KEY)
        for form in formats
    ]
    short = stata_names(c.name for c in columns)
    rows = [(c.name, c.kind, c.unit or "", c.doc, short.get(c.name, "")) for c in dict.fromkeys((*columns, *left_out))]
    meanings = pd.DataFrame(rows, columns=[c.name for c in _DICTIONARY], dtype="string").drop_duplicates("column")
    for name, frame, of, key in (
        ("exclusions", exclusions, left_out, KEY), ("dictionary", meanings, _DICTIONARY, ("column",)),
    ):  # fmt: skip
        path = f"{name}.csv.gz"
        files[path] = to_csv(Content(frame, of, until, title))
        resources.append(package.resource(name, path, files[path], form="csv", columns=of, key=key))
    described = _described(made, keys, command, package.control(data, columns), package.control(exclusions, left_out))
    head = {
        "profile": "data-package",
        "name": f"backtest-{made.observations.attrs['terms']['product']}",
        "title": title,
    }
    files[DESCRIPTOR] = package.encode(head | {"resources": resources, "xray": described})
    return files


def _named(column: Column, keys: Pseudonyms | None) -> Column:
    if keys is None or column.kind != "id":
        return column
    return Column(column.name, "id", f"{column.doc} {_PSEUDONYM}", required=column.required)


def _ordered(frame: pd.DataFrame, keys: Pseudonyms | None) -> pd.DataFrame:
    """Pseudonymised, and then sorted: the order of the real ids is not to be read off the rows."""
    if keys is not None:
        frame = frame.assign(
            company_id=keys.of("company", frame["company_id"]), report_id=keys.of("report", frame["report_id"])
        )
    return frame.sort_values(["as_of_date", "company_id"], ignore_index=True)


def _described(
    made: Backtest, keys: Pseudonyms | None, command: str | None, data: dict[str, Any], exclusions: dict[str, Any]
) -> dict[str, Any]:
    rows = made.observations
    rates = backtest.default_rates(rows).rename(columns={"excluded_because": "group"})
    rates["group"] = rates["group"].fillna("used")
    plain = rates.astype(object).where(rates.notna(), None)
    return {
        "format": package.FORMAT,
        "content_digest": package.content_digest(data),
        "exclusions_digest": package.content_digest(exclusions),
        "n_rows": data["company_id"]["n"],
        "n_excluded": exclusions["company_id"]["n"],
        "base": rows.attrs["base"],
        "default_rates": plain.to_dict("records"),
        "control_sums": data,
        "terms": rows.attrs["terms"],
        "source": made.source,
        "ids": {"form": "plain"} if keys is None else {"form": "pseudonym", "key_check": keys.check},
        "versions": package.versions(),
        "command": command,
    }
