"""The store against a plain dict, whatever is done to it in whatever order, and killed in the middle of any of it."""

import copy
import shutil
import tempfile
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from test_store import FailingOs, Killed
from test_upkeep import RATINGS, SIRENS, bring, rating, request

from xray_analytics import files
from xray_analytics.ingest.erasure import forget
from xray_analytics.ingest.rebuild import rebuild
from xray_analytics.store import Store

# The k-th changing call is the last one that happens; None: nothing is killed.
KILLS = st.one_of(st.none(), st.integers(1, 120))
COMPANIES = st.integers(0, 2)

Model = dict[str, Any]


def payload(i: int, risk_class: int, drifted: bool) -> dict[str, Any]:
    found = rating(i, risk_class)
    found["report"] |= {"unheard": "of"} if drifted else {}
    return found


class StoreMachine(RuleBasedStateMachine):
    """`model`: versions of the report of each company that is known, and the companies that were forgotten."""

    @initialize()
    def make(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.store = Store(self.folder / "store")
        bring(self.store, *map(request, range(3)))
        self.model: Model = {"versions": {i: [] for i in range(3)}, "forgotten": set()}

    @rule(i=COMPANIES, risk_class=st.integers(1, 2), drifted=st.booleans(), kill=KILLS)
    def bring(self, i: int, risk_class: int, drifted: bool, kill: int | None) -> None:
        """A new report, a change, a change back, a member never heard of, or what is known or forgotten already."""
        then = copy.deepcopy(self.model)
        versions = then["versions"].get(i)
        if versions is not None and versions[-1:] != [(risk_class, drifted)]:
            versions.append((risk_class, drifted))
        self.do(lambda: bring(self.store, payload(i, risk_class, drifted)), then, kill)

    @rule(i=COMPANIES, kill=KILLS)
    def forget(self, i: int, kill: int | None) -> None:
        then = copy.deepcopy(self.model)
        then["versions"].pop(i, None)
        then["forgotten"].add(i)
        self.do(lambda: forget(self.store, SIRENS[i]), then, kill)

    @rule(kill=KILLS)
    def rebuild(self, kill: int | None) -> None:
        self.changes_nothing(lambda: rebuild(self.store), kill)

    @rule(kill=KILLS)
    def compact(self, kill: int | None) -> None:
        self.changes_nothing(lambda: (self.store.compact(max_parts=1), self.store.gc()), kill)

    def changes_nothing(self, run: Callable[[], object], kill: int | None) -> None:
        before = self.store.content_digest(clocks=True)
        self.do(run, self.model, kill)
        assert self.store.content_digest(clocks=True) == before

    def do(self, run: Callable[[], object], then: Model, kill: int | None) -> None:
        """Run it, killed or not: the store is then as it was or as it should be."""
        with pytest.MonkeyPatch.context() as patch:
            if kill is not None:
                patch.setattr(files, "os", FailingOs(kill, Killed))
            try:
                run()
            except Killed:
                assert self.seen() in (self.model, then)
                then = self.seen()
        self.model = then

    def seen(self) -> Model:
        rows = self.store.stored("reports", ["report_id", "report_version", "financial_risk_class", "extra"])
        tombstones = self.store.tombstones()
        requests = self.store.stored("requests", ["company_id"])["company_id"].to_pylist()
        found: dict[int, list[tuple[int, bool]]] = {i: [] for i, s in enumerate(SIRENS) if s in requests}
        for row in sorted(rows.to_pylist(), key=lambda row: row["report_version"]):
            of = found[RATINGS.index(row["report_id"])]
            of.append((row["financial_risk_class"], row["extra"] is not None))
            assert len(of) == row["report_version"]
        return {"versions": found, "forgotten": {i for i, s in enumerate(SIRENS) if s in tombstones}}

    @invariant()
    def says_what_the_model_says(self) -> None:
        assert self.seen() == self.model

    def teardown(self) -> None:
        """After one more writer all is whole, and says what a store says that saw no fault and no forgotten company."""
        with self.store.writer():
            pass
        assert self.store.verify() == []
        plain, known = Store(self.folder / "plain"), self.model["versions"]
        if known:  # no file, no import
            bring(plain, *map(request, known))
            for versions in zip_longest(*known.values()):
                bring(plain, *(payload(i, *v) for i, v in zip(known, versions, strict=True) if v is not None))
            assert self.store.content_digest() == plain.content_digest()
        shutil.rmtree(self.folder)


def machine(n_runs: int, n_steps: int) -> None:
    checks = list(HealthCheck)
    chosen = settings(
        max_examples=n_runs,
        stateful_step_count=n_steps,
        deadline=None,
        suppress_health_check=checks,
        derandomize=True,
        phases=[Phase.generate],
    )
    run_state_machine_as_test(StoreMachine, settings=chosen)


def test_machine__a_few_lives_of_a_store() -> None:
    machine(6, 12)


@pytest.mark.long
def test_machine__many_lives_of_a_store() -> None:
    machine(200, 30)
