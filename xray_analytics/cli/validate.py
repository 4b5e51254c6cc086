"""Judging the service against what happened."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .options import (
    DEFAULT_STORE,
    AsOfOption,
    ClockOption,
    CodeTypeOption,
    JsonOption,
    StoreOption,
    app,
    echo,
    existing_store,
    print_json,
)

if TYPE_CHECKING:
    import pandas as pd

    from ..report.validation.results import Validation
    from ..store import Snapshot


@app.command()
def validate(
    outcomes: Annotated[
        Path | None, typer.Option(help="CSV, XLSX or Parquet file of outcomes; default those attached to the store.")
    ] = None,
    code_type: CodeTypeOption = None,
    store: StoreOption = DEFAULT_STORE,
    product: Annotated[Literal["bank", "financial"], typer.Option(help="Whose class or probability.")] = "bank",
    as_of: AsOfOption = None,
    clock: ClockOption = "available",
    horizon: Annotated[int, typer.Option(min=1, help="A default counts within so many months.")] = 12,
    policy: Annotated[Path | None, typer.Option(help="TOML file of thresholds; default the shipped ones.")] = None,
    out: Annotated[Path, typer.Option(help="Where to write the HTML file.")] = Path("validation.html"),
    xlsx: Annotated[Path | None, typer.Option(help="Where to write a workbook of the same numbers.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Where to write a PDF of the same page.")] = None,
    rows: Annotated[Path | None, typer.Option(help="Where to write the observations behind it, as CSV.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Was the model right? Ranking, default rates, probabilities and stability against the outcomes.

    Outcomes are known until --as-of, or else until the newest day on which a company was watched. Every threshold is a
    line of the policy, and printed in the report: copy analysis/validation/validation.toml of the package, where each
    line says what it means, change it, and give it with --policy.

    Example: xray validate --outcomes outcomes.csv --product financial --out validation.html
    """
    from ..report import validation

    snapshot = existing_store(store).snapshot(as_of, clock=clock)
    found = validation.analyse(
        snapshot,
        product=product,
        outcomes=None if outcomes is None else _outcomes(outcomes, code_type, snapshot),
        horizon_months=horizon,
        known_until=as_of,
        clock=clock,
        policy=validation.read_policy(policy),
        command=shlex.join(["xray", *sys.argv[1:]]),
    )
    written = [path for path in (out, xlsx, pdf) if path is not None]
    for path in written:
        validation.write_validation_report(found, path, overwrite=force)
    if rows is not None:
        written.append(validation.write_rows(found, rows, overwrite=force))
    if as_json:
        print_json(_facts(found))
    else:
        _show(found)
        echo(f"Written: {', '.join(map(str, written))}")


def _outcomes(path: Path, code_type: str | None, snapshot: Snapshot) -> pd.DataFrame:
    from ..ingest import lender
    from ..tables import OUTCOMES

    kind = code_type or lender.code_type_of(snapshot.arrow("requests", columns=["company_id", "company_code_type"]))
    return lender.read_frame(path, OUTCOMES, code_type=kind)


def _facts(found: Validation) -> dict[str, object]:
    terms = found.terms
    return {
        "product": terms.product,
        "cohort": f"{found.cohorts.date:%Y-%m-%d}",
        "horizon_months": terms.horizon_months,
        "outcomes_known_until": f"{terms.known_until:%Y-%m-%d}",
        "n": len(found.cohorts.sample),
        "n_defaults": found.cohorts.n_defaults,
        "policy": asdict(found.policy),
        "no_verdict": found.too_few or None,
        "verdicts": [asdict(row) for row in found.verdicts],
    }


def _show(found: Validation) -> None:
    from . import terminal

    terms, sample, few = found.terms, found.cohorts, found.too_few
    rows = found.verdict_table[["question", "verdict", "shown"]]
    p_values = found.verdict_table["p_value"].map("{:.3f}".format).replace("nan", "–")
    note = f"No verdict: {few}." if few else "Not rejected is no proof: the report says what would have been noticed."
    terminal.show(
        rows.rename(columns={"shown": "figure"}).assign(**{"p-value": p_values}),
        title=f"{terms.product.capitalize()} X-Ray, on {sample.date:%Y-%m-%d} ({len(sample.sample):,} companies, "
        f"{sample.n_defaults:,} defaults in {terms.horizon_months} months)",
        note=note,
    )
