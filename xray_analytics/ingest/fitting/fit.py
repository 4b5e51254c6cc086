"""Fitting a layout: candidates from the values of samples, and proof on reports that were not used to find them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from ...errors import InputError, ReportError, listed
from ...tidy.batch import Received
from ...tidy.decode import parse
from ...tidy.drift import mask
from ...tidy.layout import SECTIONS, Layout
from ...tidy.layout.reader import compiled
from ...tidy.payload import Known, decode, understand
from ...tidy.rows import Product
from ..files import Failed, find, payloads
from . import candidates
from .proof import Proof, prove
from .samples import Group, Leaf, groups_of, is_epoch, scalars_of, unwrapped
from .words import likeness

FEWEST_STATEMENTS = 6
LEAST_SHARE = 0.99
HELD_OUT = 5  # of each so many reports one is left out of the fitting, where there are so many
TRIED_ON = 6  # reports on which candidates are compared
MOST_TEXTS = 3
_ZONES = ("UTC", "Europe/Paris")


@dataclass(frozen=True)
class Question:
    """What nothing in the samples decides: the name to answer by, the answers there are, and why it is asked."""

    name: str
    options: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        return f"--set {self.name}={' or '.join(self.options)}: {self.why}"


@dataclass(frozen=True)
class Fit:
    """What a fit found: the lines, the proof on reports left out of it, questions, and the best that failed.

    `layout` is None where something must be answered or nothing fits.
    """

    document: dict[str, Any]
    proof: Proof
    n_samples: int
    n_unread: int
    questions: tuple[Question, ...] = ()
    failures: tuple[str, ...] = ()
    evidence: tuple[str, ...] = field(default=())

    @property
    def layout(self) -> Layout | None:
        """The layout, where it was found."""
        return None if self.questions or self.failures else Layout.of(self.document)

    def to_dict(self) -> dict[str, Any]:
        """The lines, evidence, questions and failures as plain data."""
        asked = [{"name": q.name, "options": list(q.options), "why": q.why} for q in self.questions]
        said = {"evidence": list(self.evidence), "failures": list(self.failures)}
        counts = {"n_samples": self.n_samples, "n_unread": self.n_unread, "n_statements": self.proof.n_statements}
        return {"layout": self.document, "questions": asked, **said, **counts}

    def toml(self) -> str:
        """The layout as a TOML file, with the evidence as comments."""
        lines = [f"# {line}" for line in self.evidence]
        lines.append(f"name = {_toml(self.document.get('name', 'fitted'))}")
        for section, content in self.document.items():
            if section != "name":
                lines += ["", *_section(section, content)]
        return "\n".join(lines) + "\n"


def _section(name: str, content: Mapping[str, Any]) -> Iterator[str]:
    yield f"[{name}]"
    for line, value in content.items():
        if line not in ("pair", "sign"):
            yield f"{line} = {_toml(value)}"
    for line in ("pair", "sign"):
        if line in content:
            yield f"[{name}.{line}]"
            yield from (f"{key} = {_toml(value)}" for key, value in content[line].items())


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in escaped) + '"'


def fit_layout(paths: Iterable[str | Path], *, answers: Mapping[str, str] | None = None) -> Fit:
    """Search the layout of some reports, and accept one by proof only.

    Parameters
    ----------
    paths
        Files or folders of bank reports as `import_files` takes them, one or several; about 20 are best.
    answers
        What nothing inside the reports decides, by the names of earlier questions: ``{"unit": "cents"}``,
        ``{"zone": "Europe/Paris"}``, or a column and its member: ``{"label": "text1"}``.

    Returns
    -------
    Fit
        The layout with its proof; questions, where two readings pass alike; or why nothing fits.

    Raises
    ------
    InputError
        A path does not exist, no sample is a bank report, or an answer is to no question.
    """
    chosen = listed(paths, "paths", str, Path)
    received, reports, envelopes, n_unread = _samples(chosen)
    if not reports:
        raise InputError("no sample holds a report with a list of transactions; name files of bank reports")
    return _Search(received, reports, envelopes, n_unread, dict(answers or {})).run()


def parsed_answers(texts: Iterable[str]) -> dict[str, str]:
    """Answers from ``NAME=VALUE``, as a command line has them.

    >>> parsed_answers(["unit=cents"])
    {'unit': 'cents'}
    """
    pairs = [text.partition("=") for text in texts]
    wrong = [name for name, sign, value in pairs if not (name and sign and value)]
    if wrong:
        raise InputError(f"--set {wrong[0]} is no answer; write NAME=VALUE, such as unit=cents")
    return {name: value for name, _, value in pairs}


def _samples(paths: Sequence[str | Path]) -> tuple[list[Received], list[Any], list[str], int]:
    """The samples that hold a list of transactions, their trees and envelopes, and how many could not be read."""
    received, reports, envelopes, n_unread = [], [], [], 0
    for one in payloads(find(paths), fetched_at=datetime.now(UTC)):
        if isinstance(one, Failed):
            n_unread += 1
            continue
        try:
            envelope, report = unwrapped(parse(one.body))
        except ReportError:
            n_unread += 1
            continue
        if report is not None and _looks_like_bank(report):
            received.append(one)
            reports.append(report)
            envelopes.append(envelope)
    return received, reports, envelopes, n_unread


def _looks_like_bank(report: Mapping[str, Any]) -> bool:
    return candidates.roles_of(groups_of([report])).transactions is not None


@dataclass
class _Search:
    received: list[Received]
    reports: list[Any]
    envelopes: list[str]
    n_unread: int
    answers: dict[str, str]

    def run(self) -> Fit:
        """Find candidates, compare them, prove the best on what was held out."""
        order = list(range(len(self.reports)))
        random.Random(7).shuffle(order)  # noqa: S311 - which samples are held out is no secret
        held = order[::HELD_OUT] if len(order) >= HELD_OUT else order
        used = [at for at in order if at not in held] or order
        groups = groups_of(self.reports[at] for at in used)
        self.roles = candidates.roles_of(groups)
        if self.roles.transactions is None:
            raise InputError("no list of transactions was found in the samples")
        self.entry = self.roles.transactions.leaves()
        self.scalars = scalars_of(self.reports[at] for at in used)
        self.questions: list[Question] = []
        base = self._base(self.roles.transactions)
        tried = [(self._prove(document, used[:TRIED_ON]), document, what) for document, what in self._documents(base)]
        passing = [(proof, document, what) for proof, document, what in tried if _holds(proof)]
        if not passing:
            return self._nothing(tried)
        return self._decided(passing, held)

    def _decided(self, passing: list[tuple[Proof, dict[str, Any], str]], held: Sequence[int]) -> Fit:
        best = passing[0]
        self._settle_metrics(best[1])
        proof = self._prove(best[1], held)
        enough = proof if proof.n_statements >= FEWEST_STATEMENTS else self._prove(best[1], range(len(self.received)))
        if enough.n_statements < FEWEST_STATEMENTS:
            few = (
                f"{enough.n_statements} statements prove too little, {FEWEST_STATEMENTS} are needed: give more reports"
            )
            return self._asked(best[1], enough, (few,))
        if not _holds(enough):
            return self._asked(best[1], enough, tuple(_said(best[2], enough)))
        self._ask_about(passing)
        return self._asked(best[1], enough, ())

    def _settle_metrics(self, document: dict[str, Any]) -> None:
        """Metrics may be in another unit than amounts: one of them is the sum of all debits."""
        known, apart = Known(compiled(Layout.of(document))), 0
        found = [read for one in self.received[:TRIED_ON] if (read := _read(one, known)) is not None]
        for read in found:
            debits = sum(s.total_debit or 0 for s in read.statements) / 10_000
            values = [row[1] for row in read.rows["movement_metrics"] if isinstance(row[1], float)]
            alike = any(abs(value - debits) < 0.005 for value in values)
            apart += (
                bool(debits)
                and not alike
                and any(abs(value - debits * 100) < 0.5 or abs(value * 100 - debits) < 0.5 for value in values)
            )
        if found and apart > len(found) / 2:
            values = document["values"]
            values["unit_of_metrics"] = "major" if values["unit_of_metrics"] == "cents" else "cents"

    def _asked(self, document: dict[str, Any], proof: Proof, failures: tuple[str, ...]) -> Fit:
        evidence = tuple(self._evidence(document, proof))
        return Fit(document, proof, len(self.received), self.n_unread, tuple(self.questions), failures, evidence)

    def _nothing(self, tried: list[tuple[Proof, dict[str, Any], str]]) -> Fit:
        tried.sort(key=lambda each: (-each[0].share, -each[0].made.total()))
        failures = [line for proof, _, what in tried[:3] for line in _said(what, proof)]
        document, proof = (tried[0][1], tried[0][0]) if tried else ({}, Proof())
        return Fit(
            document, proof, len(self.received), self.n_unread, (), tuple(failures) or ("no member can be an amount",)
        )

    def _prove(self, document: Mapping[str, Any], at: Iterable[int]) -> Proof:
        known = Known(compiled(Layout.of(document)))
        return prove(found for n in at if (found := _read(self.received[n], known)) is not None)

    # -------------------------------------------------------------------------------------------- lines

    def _base(self, transactions: Group) -> dict[str, Any]:
        """The lines that names and values decide by themselves."""
        # Files may hold the same report in an envelope and bare, and a list of them is taken apart before it is read.
        parts: dict[str, Any] = {"report": [*dict.fromkeys(filter(None, (*self.envelopes, "report", "data"))), ""]}
        for part in ("transactions", "statements", "criteria", "metrics"):
            group = getattr(self.roles, part)
            if group is not None:
                parts[part] = [group.path]
        document: dict[str, Any] = {"name": "fitted", "parts": parts, "report": self._report_lines()}
        for part, section in (("criteria", "criterion"), ("metrics", "metric")):
            group = getattr(self.roles, part)
            if group is not None:
                document[section] = self._lines_of(group, section)
        if not document["report"]:
            del document["report"]
        return document

    def _report_lines(self) -> dict[str, list[str]]:
        found = candidates.assigned(self.scalars, "report", SECTIONS["report"], set())
        return {column: [path] for column, path in found.items()}

    def _lines_of(self, group: Group, section: str) -> dict[str, list[str]]:
        leaves = group.leaves()
        if set(leaves) == {""}:
            return {"metric": ["{}"], "period_value": [""], "annualised_value": []}
        found = candidates.assigned(leaves, section, SECTIONS[section], set())
        lines = {column: [path] for column, path in found.items()}
        if section == "metric" and group.path.endswith("{}"):
            lines["metric"] = ["{}"]
        return lines

    def _documents(self, base: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
        """Every document to try, and what it takes amounts to be."""
        group = self.roles.transactions
        if group is None:
            return
        statements = self.roles.statements
        of_statement = statements.leaves() if statements else {}
        columns = [c for c in SECTIONS["transaction"] if c not in ("amount",)]
        named = candidates.assigned(self.entry, "transaction", columns, set())
        self._answer_columns(named)
        self._booked(named)
        self._label(named)
        amounts = candidates.amounts_of(
            group, self.entry, {p for c, p in named.items() if c not in ("transaction_type",)}
        )
        rows = candidates.statements_of(statements, of_statement, SECTIONS["statement"]) if statements else [{}]
        for amount, statement, values in product(amounts, rows, list(self._values(named, amounts, of_statement))):
            lines = {c: [p] for c, p in named.items() if p not in amount.members}
            lines |= self._from_around(group, named)
            document = {**base, "transaction": {**lines, **amount.lines}}
            if statement:
                document["statement"] = statement
            document["values"] = {**values, **({"inverted": True} if amount.inverted else {})}
            yield document, f"{amount.what}; {_spoken(values)}"

    def _from_around(self, group: Group, named: Mapping[str, str]) -> dict[str, list[str]]:
        """The statement of a transaction that stands inside one, or below its key."""
        if "statement_id" in named or self.roles.statements is None:
            return {}
        if "{}" in group.path:
            return {"statement_id": ["{}"]}
        holder = self.roles.statements.path
        if group.path.startswith(f"{holder}."):
            inside = candidates.assigned(self.roles.statements.leaves(), "statement", ["statement_id"], set())
            return {"statement_id": [f"^.{inside['statement_id']}"]} if inside else {}
        return {}

    def _answer_columns(self, named: dict[str, str]) -> None:
        for name, answer in self.answers.items():
            if name in SECTIONS["transaction"]:
                if answer not in self.entry:
                    raise InputError(
                        f"--set {name}={answer}: no transaction has that member; there are {', '.join(self.entry)}"
                    )
                for column in [c for c, p in named.items() if p == answer]:
                    del named[column]
                named[name] = answer
            elif name not in ("unit", "zone", "dates", "decimal"):
                raise InputError(f"--set {name}=…: no such question; answer unit, zone, dates, decimal or a column")

    def _booked(self, named: dict[str, str]) -> None:
        """A booking day that no name gives away: the only day there is, or a question."""
        days = [path for path, leaf in self.entry.items() if leaf.is_date and path not in named.values()]
        if "booked_date" not in named and days:
            named["booked_date"] = days[0]
            if len(days) > 1:
                why = "each of these members is a day, and no name says which is that of the booking"
                self.questions.append(Question("booked_date", tuple(days), why))

    def _label(self, named: dict[str, str]) -> None:
        """A label that no name gives away: the only free text, or a question."""
        if "label" in named:
            return
        free = [
            leaf for path, leaf in self.entry.items()
            if path not in named.values() and leaf.is_text and not leaf.is_date and not leaf.is_number
            and leaf.share(lambda v: " " in v) > 0.2 and len({*leaf.values}) > 5
        ]  # fmt: skip
        if len(free) == 1:
            named["label"] = free[0].path
        elif free:
            self.questions.append(Question("label", tuple(leaf.path for leaf in free), _texts(free)))

    def _values(
        self, named: Mapping[str, str], amounts: Sequence[candidates.Amount], of_statement: Mapping[str, Leaf]
    ) -> Iterator[dict[str, Any]]:
        """How values may be written: every combination that the samples allow."""
        money = {p for amount in amounts for p in amount.members} | {named[c] for c in ("balance_after",) if c in named}
        numbers = [self.entry[p] for p in money if self.entry[p].is_number]
        numbers += [leaf for leaf in of_statement.values() if leaf.is_number and not leaf.is_date]
        dated = [self.entry[named[c]] for c in ("booked_date", "value_date") if c in named]
        dated += [leaf for leaf in of_statement.values() if leaf.is_date and not candidates.is_code(leaf)]
        fixed: dict[str, Any] = {**self._classes(), **self._percent()}
        units = self._units(numbers)
        zones: list[str | None] = [None] if not any(leaf.has_instants for leaf in dated) else self._zones(dated)
        decimals = [self.answers["decimal"]] if "decimal" in self.answers else candidates.decimals_of(numbers)
        forms = [self.answers["dates"].split(",")] if "dates" in self.answers else candidates.days_of(dated)
        for decimal, days, zone in product(decimals, forms, zones):
            values = {"unit": units, "unit_of_metrics": units, "dates": days, **fixed}
            values |= {"decimal": decimal} if decimal else {}
            values |= {"zone": zone} if zone else {}
            yield values

    def _units(self, numbers: Sequence[Leaf]) -> str:
        """Cents where that was answered; asked where every amount is whole, as nothing else tells."""
        if "unit" in self.answers:
            return self.answers["unit"]
        values = [v for leaf in numbers for v in leaf.values]
        if all(map(_is_whole, values)) and len(values) >= 20:
            why = "every amount is a whole number, which cents always are and units hardly ever"
            self.questions.append(Question("unit", ("cents", "major"), why))
        return "major"

    def _zones(self, dated: Sequence[Leaf]) -> list[str | None]:
        if "zone" in self.answers:
            return [self.answers["zone"]]
        texts = [v for leaf in dated for v in leaf.values if type(v) is str and len(v) > len("2023-05-31")]
        counts = [v for leaf in dated for v in leaf.values if is_epoch(v)]
        if all(int(v) % 86_400 == 0 for v in counts) and all("T00:00:00" in v or " 00:00:00" in v for v in texts):
            return [None] if all(text.endswith(("Z", "+00:00")) for text in texts) else ["written"]
        return list(_ZONES)

    def _classes(self) -> dict[str, Any]:
        leaf = next((self.scalars[p] for p in self.scalars if likeness("report", "bank_risk_class", p)), None)
        letters = leaf is not None and leaf.share(lambda v: type(v) is str and v in tuple("ABCDE")) >= 0.99
        return {"classes": {letter: n for n, letter in enumerate("ABCDE", 1)}} if letters else {}

    def _percent(self) -> dict[str, Any]:
        leaf = next((self.scalars[p] for p in self.scalars if likeness("report", "data_sanity_pct", p)), None)
        texts = leaf is not None and leaf.share(lambda v: type(v) is str and v.strip().endswith("%")) > 0.5
        return {"percent_text": True} if texts else {}

    # -------------------------------------------------------------------------------------------- questions

    def _ask_about(self, passing: list[tuple[Proof, dict[str, Any], str]]) -> None:
        """Ask where several candidates pass and do not mean the same."""
        meant: dict[str, dict[str, Any]] = {}
        for _, document, _ in passing:
            meant.setdefault(repr(self._meaning(document)), document)
        why = "each passes every check, and nothing inside the reports decides"
        for name in ("zone", "dates", "decimal"):
            options = dict.fromkeys(str(_plain(document["values"].get(name, "UTC"))) for document in meant.values())
            if len(options) > 1:
                self.questions.append(Question(name, tuple(options), why))
        amounts = dict.fromkeys(document["transaction"].get("amount", ["pair"])[0] for document in meant.values())
        if len(meant) > 1 and not self.questions:
            self.questions.append(Question("amount", tuple(amounts), why))

    def _meaning(self, document: Mapping[str, Any]) -> list[Any]:
        """What a reading says: amounts, days and the days of statements of the first reports."""
        known, said = Known(compiled(Layout.of(document))), []
        for one in self.received[:3]:
            found = _read(one, known)
            if found is not None and found.entries is not None:
                days = found.entries.columns["booked_date"].to_pylist()
                said.append((found.entries.units["amount"][0].tolist(), days, [s.end_date for s in found.statements]))
        return said

    def _evidence(self, document: Mapping[str, Any], proof: Proof) -> Iterator[str]:
        yield f"Fitted on {len(self.received)} reports."
        yield f"Proved on {proof.n_reports} reports with {proof.n_statements} statements:"
        for check, made in sorted(proof.made.items()):
            yield f"{check}: {made - proof.failed[check]} of {made} checks hold"
        fed = {p[0] for c, p in document["transaction"].items() if c not in ("pair", "sign") and p}
        for path, leaf in sorted(self.entry.items()):
            if path in fed:
                yield f"{path}: such as {mask(leaf.values[0])}"


def _is_whole(value: Any) -> bool:
    return not {*value} & {".", ","} if isinstance(value, str) else float(value).is_integer()


def _plain(value: Any) -> Any:
    return ",".join(value) if isinstance(value, list) else value


def _texts(leaves: Sequence[Leaf]) -> str:
    """What free texts look like, masked."""
    shown = []
    for leaf in leaves:
        texts = [str(mask(v)) for v in leaf.values[:MOST_TEXTS]]
        words = sum(len(v.split()) for v in leaf.values) / len(leaf.values)
        distinct = len({*leaf.values}) / len(leaf.values)
        shown.append(f"{leaf.path} ({words:.1f} words, {distinct:.0%} distinct, such as {' | '.join(texts)})")
    return "each of these texts could be it: " + "; ".join(shown)


def _spoken(values: Mapping[str, Any]) -> str:
    shown = ("dates", "zone", "decimal", "unit")
    return ", ".join(f"{name} {_plain(value)}" for name, value in values.items() if name in shown)


def _holds(proof: Proof) -> bool:
    kinds = [check for check, made in proof.made.items() if made and check != "days"]
    return (proof.share >= LEAST_SHARE and len(kinds) >= 2 and "balance" in kinds) or (
        proof.share >= LEAST_SHARE and {"credits", "debits"} <= {*kinds}
    )


def _said(what: str, proof: Proof) -> Iterator[str]:
    yield f"{what}: {proof.share:.1%} of {proof.made.total()} checks hold"
    for check, n in sorted(proof.failed.items()):
        unit = "days" if check == "days" else "of the currency"
        size = proof.worst[check] if check == "days" else abs(proof.worst[check]) / 10_000
        first = "more than 100" if size > 100 else f"{size:g}"
        yield f"  {check}: {n} of {proof.made[check]} fail, the first by {first} {unit}"


def _read(one: Received, known: Known) -> Product | None:
    try:
        return understand(decode(one.body, one.kind, known), one.body, known).product
    except ReportError:
        return None
