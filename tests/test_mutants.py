"""Would anyone notice? Each guard is changed in every small way there is, and the questions below must tell.

A mutant turns one comparison, one `and`, one `not`, one number, one text or one returned truth into another. At least
85 in 100 must give another answer to one of the questions of its guard, which all have the right answer before.
"""

import ast
import copy
import importlib
import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import CodeType, FunctionType
from typing import Any

import pytest
from starlette.datastructures import Headers

from xray_analytics.api.http.body import BOM
from xray_analytics.api.storage import Receipt
from xray_analytics.api.webhooks import signature
from xray_analytics.grammar.addresses import parse
from xray_analytics.settings import Secret, Settings, WebhookSettings

NOW, ID = datetime(2026, 3, 1, 12, tzinfo=UTC), "61b1aaa1015c69003931e945"
AT = str(int(NOW.timestamp()))
SCHEME = WebhookSettings(keys=["a", "b"], signature_header="S", timestamp_header="T", signed="{timestamp}.{body}")
API = Settings(base_url="https://api.example", user_id="u53r", session_token="t0k3n", upload_hosts=(".aws.com", "f.io"))
LOCAL = Settings(base_url="http://127.0.0.1:1", user_id="u", session_token="t")
HEADERS = {"userId": "u53r", "sessionToken": "t0k3n", "October-Version": "2024-01-25"}
DATE, LATER = "Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:30 GMT"
DATA_MD5 = '"8d777f385d3dfec8815d20f7496026dc"'  # of b"data"
Guard = Callable[..., Any]


def sent(time: str | None = AT, key: str = "a", text: str | None = None, *more: tuple[str, str]) -> Headers:
    right = signature(b"{}", Secret(key), SCHEME, time or "")
    pairs = [("S", right if text is None else text.replace("*", right)), *([("T", time)] if time is not None else [])]
    return Headers(raw=[(name.lower().encode(), value.encode()) for name, value in (*pairs, *more)])


def moved(seconds: float) -> str:
    return str(int((NOW + timedelta(seconds=seconds)).timestamp()))


def authentic(*arguments: Any) -> tuple[Any, ...]:
    return sent(*arguments), b"{}", SCHEME, NOW


def refuses(guard: Guard, *arguments: Any) -> Any:
    """What a guard answers, or the class and code of what it raises."""
    try:
        return guard(*arguments)
    except Exception as error:
        return type(error).__name__, getattr(error, "code", None)


UPLOAD = ("UploadError", None)
QUESTIONS: dict[str, list[tuple[tuple[Any, ...], Any]]] = {
    "settings.is_id": [
        ((ID,), True), ((ID.upper(),), False), ((ID + "\n",), False), ((ID[:-1],), False), ((None,), False),
        (("../x", ".*"), False), (("A-1", ".*"), True), (("a" * 65, ".*"), False), (("", ".*"), False),
        (("\u0663" * 24, r"\d{24}"), False), (("1", r"\w"), True),
    ],
    "api.webhooks.is_authentic": [
        (authentic(), True), (authentic(AT, "b"), True), (authentic(AT, "c"), False), (authentic(AT, "a", ""), False),
        (authentic(AT, "a", "x, *"), True), (authentic(AT, "a", ",".join("abcdefg") + ",*"), True),
        (authentic(AT, "a", ",".join("abcdefgh") + ",*"), False), (authentic(None), False),
        (authentic(AT, "a", "*", ("S", "more")), False), (authentic(AT, "a", "*", ("T", AT)), False),
        (authentic(moved(300)), True), (authentic(moved(301)), False), (authentic(moved(-300)), True),
        (authentic(moved(-301)), False), (authentic("now"), False), ((Headers({}), b"{}", SCHEME, NOW), False),
    ],
    "api.webhooks._timestamp": [
        ((sent(), SCHEME, NOW), AT), ((sent(None), SCHEME, NOW), None), ((sent(moved(300)), SCHEME, NOW), moved(300)),
        ((sent(moved(-301)), SCHEME, NOW), None), ((sent("9" * 16), SCHEME, NOW), None),
        ((sent(), WebhookSettings(), NOW), ""), ((sent(AT, "a", "*", ("T", AT)), SCHEME, NOW), None),
        ((sent("9" * 15), SCHEME, NOW), None), ((sent("\u0663"), SCHEME, NOW), None),
    ],
    "api.http.credentials.credentials_for": [
        (("https://api.example/x", API), HEADERS), (("https://api.example:443/x", API), HEADERS),
        (("http://api.example/x", API), {}), (("https://api.example:444/", API), {}), (("https://evil/", API), {}),
    ],
    "api.http.failure.plain": [
        (("a T0K3N b u53r", API), "a *** b ***"), (("caf\u00e9\n~ ", API), "caf??~ "), (("x" * 81, API), "x" * 80),
        (("\x1f \x7f", API), "? ?"),
    ],
    "api.http.failure.retry_after": [
        (("120", None), 120.0), ((" 7 ", None), 7.0), (("-5", None), 0.0), (("9" * 10, None), 0.0), ((None, None), 0.0),
        (("9" * 9, None), 999_999_999.0), ((LATER, DATE), 30.0), ((DATE, LATER), 0.0), (("soon", DATE), 0.0),
        (("Wed, 21 Oct 2015 07:28:00 GMT", None), 0.0), (("\u0661", None), 0.0), (("1.5", None), 0.0),
    ],
    "api.storage.check_host": [
        (("https://b.aws.com/k", API), parse("https://b.aws.com/k")), (("https://f.io/k", API), parse("https://f.io/k")),
        (("https://b.aws.com:443/k", API), parse("https://b.aws.com/k")),
        (("https://aws.com/k", API), UPLOAD), (("https://x.f.io/k", API), UPLOAD), (("http://f.io/k", API), UPLOAD),
        (("https://f.io:444/k", API), UPLOAD), (("https://u@f.io/k", API), UPLOAD), (("https://f.io:x/", API), UPLOAD),
        (("http://127.0.0.1:9/k", API), UPLOAD), (("http://127.0.0.1:9/k", LOCAL), parse("http://127.0.0.1:9/k")),
        (("ftp://127.0.0.1/k", LOCAL), UPLOAD), (("http://192.0.2.1/k", LOCAL), UPLOAD),
        (("https://127.0.0.1/k", LOCAL), parse("https://127.0.0.1/k")),
        (("https://f.iox/k", API), UPLOAD), (("//f.io/k", API), UPLOAD),
    ],
    "api.upload.check_receipt": [
        ((Receipt(200, {"ETag": DATA_MD5}), b"data"), None), ((Receipt(204, {}), b"data"), None),
        ((Receipt(299, {}), b"data"), None), ((Receipt(300, {}), b"data"), UPLOAD),
        ((Receipt(199, {}), b"data"), UPLOAD), ((Receipt(200, {"ETag": DATA_MD5}), b"other"), UPLOAD),
        ((Receipt(200, {"etag": DATA_MD5[:-1] + '-2"'}), b"other"), None),
        ((Receipt(200, {"ETag": DATA_MD5, "x-amz-server-side-encryption": "aws:kms"}), b"other"), None),
        ((Receipt(200, {"ETag": DATA_MD5, "x-amz-server-side-encryption": "AES256"}), b"other"), UPLOAD),
        ((Receipt(200, {"ETag": DATA_MD5, "X-Amz-Server-Side-Encryption-Customer-Key": ""}), b"other"), None),
    ],
    "api.pdf.pdf_of": [
        ((b'{"report": "r", "bankXrayPdfB64": "JVBERi0xCiUlRU9G"}', "r"), b"%PDF-1\n%%EOF"),
        ((b'{"report": "r", "bankXrayPdfB64": "JVBERi0x\\r\\nCiUlRU9G"}', "r"), b"%PDF-1\n%%EOF"),
        ((b'{"report": "r", "bankXrayPdfB64": "JVBERi0xCiUlRU9G"}', "q"), ("ApiError", "wrong_id")),
        ((b'{"report": "r"}', "r"), ("ApiError", "invalid_pdf")),
        ((b'{"report": "r", "bankXrayPdfB64": "JVBERi0xCg=="}', "r"), ("ApiError", "invalid_pdf")),
        ((b'{"report": "r", "bankXrayPdfB64": "JSVFT0Y="}', "r"), ("ApiError", "invalid_pdf")),
        ((b'{"report": "r", "bankXrayPdfB64": "JVBERi0xCiUlRU9G*"}', "r"), ("ApiError", "invalid_pdf")),
    ],
    "api.http.body.decoded": [
        (([b"[1,", b"2]"], "identity", 5), b"[1,2]"), (([b"[1,2]"], "", 4), ("OverflowError", None)),
        (([b"x"], "br", 9), ("KeyError", None)), (([b""], "gzip", 9), ("EOFError", None)),
        (([], " Identity ", 0), b""),
    ],
    "api.http.body.is_json": [
        ((b"{}",), True), ((BOM + b"[1]",), True), ((b"{}{}",), False), ((b'"\xff"',), False), ((b"[NaN]",), False),
        ((b"[" * 100_000,), False),
    ],
}  # fmt: skip
OTHER = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def guard_of(name: str) -> FunctionType:
    module, _, function = name.rpartition(".")
    found = getattr(importlib.import_module(f"xray_analytics.{module}"), function)
    assert isinstance(found, FunctionType)
    return found


def changes(node: ast.AST) -> Iterator[Callable[[Any], None]]:
    """Every small change of one node, to be made on a copy of it."""
    if isinstance(node, ast.Compare):
        for position, operator in enumerate(node.ops):
            other = OTHER[type(operator)]
            yield lambda one, at=position, by=other: one.ops.__setitem__(at, by())
    elif isinstance(node, ast.BoolOp):
        other = OTHER[type(node.op)]
        yield lambda one, by=other: setattr(one, "op", by())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield lambda one: setattr(one, "operand", ast.UnaryOp(ast.Not(), one.operand))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield lambda one: setattr(one, "value", not one.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield lambda one: setattr(one, "value", one.value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and node.value:
        yield lambda one: setattr(one, "value", one.value[:0])


def mutants(function: FunctionType) -> Iterator[tuple[str, CodeType]]:
    """Where it was changed, and the code of the changed function."""
    tree = ast.parse(inspect.getsource(function))
    in_words = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Raise) for part in ast.walk(node)}
    body = tree.body[0]
    assert isinstance(body, ast.FunctionDef)
    start = 1 if ast.get_docstring(body) else 0
    code_nodes = [n for statement in body.body[start:] for n in ast.walk(statement) if id(n) not in in_words]
    positions = {id(n): at for at, n in enumerate(ast.walk(tree))}
    for node in code_nodes:
        for change in changes(node):
            changed = copy.deepcopy(tree)
            change(list(ast.walk(changed))[positions[id(node)]])
            future = "from __future__ import annotations\n"
            module = ast.parse(future)
            module.body += changed.body
            namespace = dict(function.__globals__)
            exec(compile(ast.fix_missing_locations(module), "mutant", "exec"), namespace)
            yield f"{type(node).__name__} in line {getattr(node, 'lineno', 0)}", namespace[function.__name__].__code__


def is_noticed(name: str) -> bool:
    guard = guard_of(name)
    return any(refuses(guard, *arguments) != answer for arguments, answer in QUESTIONS[name])


@pytest.mark.parametrize("name", QUESTIONS)
def test_guards__give_the_right_answers(name: str) -> None:
    guard = guard_of(name)
    assert [refuses(guard, *arguments) for arguments, _ in QUESTIONS[name]] == [answer for _, answer in QUESTIONS[name]]


def test_mutants__are_noticed(figure: Callable[[str, object], None]) -> None:
    n_mutants, unnoticed = 0, []
    for name in QUESTIONS:
        guard = guard_of(name)
        sound = guard.__code__
        for where, code in mutants(guard):
            n_mutants += 1
            try:
                guard.__code__ = code
                if not is_noticed(name):
                    unnoticed.append(f"{name}: {where}")
            finally:
                guard.__code__ = sound
    figure("mutants of the guards", f"{n_mutants - len(unnoticed)} of {n_mutants} noticed")
    assert n_mutants >= 60
    assert len(unnoticed) <= 0.15 * n_mutants, unnoticed
