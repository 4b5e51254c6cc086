"""Accounts are told apart by IBAN, by chained balances, or assumed to be one where nothing contradicts it."""

from __future__ import annotations

from datetime import date, timedelta

from xray_analytics.tidy.accounts import Accounts, Statement, tell_apart

FR, NL = "FR7612345987650123456789014", "NL91ABNA0417164300"


def statement(month: int, opening: int, closing: int, *, iban: str | None = None, name: str | None = None) -> Statement:
    start = date(2021, month, 1) - timedelta(1)
    end = (start + timedelta(32)).replace(day=1) - timedelta(1)
    return Statement(name, start, end, None, iban, None, opening, closing, None, None, None, None)


def told(accounts: Accounts) -> list[tuple[str | None, str, int]]:
    return [(row.iban, row.basis, row.n_statements) for row in accounts.rows]


def test_one_statement_is_assumed_to_be_one_account() -> None:
    accounts = tell_apart([statement(1, 0, 5)], [None, None], [None, "1"])
    assert told(accounts) == [(None, "assumed single", 1)]
    assert accounts.of_entry.tolist() == [0, 0]


def test_ibans_are_compared_without_spaces_and_case() -> None:
    accounts = tell_apart(
        [statement(1, 0, 5, iban=FR), statement(1, 7, 9, iban=NL)], [FR.lower(), None, f"{NL[:4]} {NL[4:]}"], [None] * 3
    )
    assert told(accounts) == [(FR, "iban", 1), (NL, "iban", 1)]
    assert accounts.of_entry.tolist() == [0, -1, 1]
    assert not accounts.told_apart


def test_balances_chain_statements_without_an_iban() -> None:
    accounts = tell_apart(
        [statement(2, 5, 8), statement(1, 0, 5), statement(1, 7, 9), statement(2, 9, 1)], [None], [None]
    )
    assert told(accounts) == [(None, "chained", 2), (None, "chained", 2)]
    assert accounts.of_statement == [0, 0, 1, 1]
    assert accounts.of_entry.tolist() == [-1]


def test_a_chain_joins_a_statement_without_an_iban_to_one_with() -> None:
    accounts = tell_apart([statement(1, 0, 5, iban=FR), statement(2, 5, 8), statement(1, 7, 9, iban=NL)], [], [])
    assert told(accounts) == [(FR, "iban", 2), (NL, "iban", 1)]


def test_a_chain_never_joins_two_ibans() -> None:
    accounts = tell_apart([statement(1, 0, 5, iban=FR), statement(2, 5, 8, iban=NL)], [], [])
    assert told(accounts) == [(FR, "iban", 1), (NL, "iban", 1)]


def test_a_gap_contradicts_nothing_and_an_overlap_does() -> None:
    assert told(tell_apart([statement(1, 0, 5), statement(4, 9, 8)], [], [])) == [(None, "assumed single", 2)]
    overlapping = tell_apart([statement(1, 0, 5), statement(1, 9, 8)], [None], ["1"])
    assert (overlapping.rows, overlapping.of_statement, overlapping.of_entry.tolist()) == ([], [None, None], [-1])


def test_a_statement_uploaded_twice_is_no_contradiction() -> None:
    assert told(tell_apart([statement(1, 0, 5), statement(1, 0, 5)], [], [])) == [(None, "chained", 2)]


def test_two_equal_balances_on_one_day_chain_nothing() -> None:
    accounts = tell_apart([statement(1, 4, 0), statement(2, 0, 1), statement(2, 0, 2)], [], [])
    assert accounts.of_statement == [None, None, None]


def test_transactions_name_the_account_of_their_statement() -> None:
    statements = [statement(1, 0, 5, name="1"), statement(1, 7, 9, name="2")]
    accounts = tell_apart(statements, [FR, FR, NL, None], ["1", "1", "2", "2"])
    assert told(accounts) == [(FR, "iban", 1), (NL, "iban", 1)]
    assert accounts.of_entry.tolist() == [0, 0, 1, 1]


def test_statement_ids_that_repeat_say_nothing() -> None:
    statements = [statement(1, 0, 5, name="1", iban=FR), statement(1, 7, 9, name="1", iban=NL)]
    assert tell_apart(statements, [None], ["1"]).of_entry.tolist() == [-1]


def test_without_statements_the_transactions_say_which_accounts_there_are() -> None:
    assert told(tell_apart([], [FR, NL, None], [None] * 3)) == [(FR, "iban", 0), (NL, "iban", 0)]
    assert told(tell_apart([], [None], [None])) == [(None, "assumed single", 0)]
    assert tell_apart([], [], []).rows == []


def test_an_account_number_may_be_the_other_name_of_the_only_iban() -> None:
    accounts = tell_apart([statement(1, 0, 5, iban=FR)], ["A1", None], [None, None])
    assert told(accounts) == [(FR, "iban", 1)]
    assert accounts.of_entry.tolist() == [0, 0]
