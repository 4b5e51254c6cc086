"""The sandbox describes itself at /openapi.json, and what our client sends and receives is what stands there."""

import dataclasses
import json
import re
from datetime import timedelta

import pytest
import requests
from gateway import Gateway
from jsonschema import Draft202012Validator

from xray_analytics import Notes, Sandbox, XRayClient
from xray_analytics.sandbox.service import server
from xray_analytics.sandbox.service.openapi import description

ACCOUNTS = [field.name for field in dataclasses.fields(Notes) if field.name.endswith("_cents")]


def operation(spec, method, path):
    """What is said of a call."""
    for template, methods in spec["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and method.lower() in methods:
            return methods[method.lower()]
    raise AssertionError(f"{method} {path} is not described")


def check(spec, content, instance):
    schema = {**content["application/json"]["schema"], "components": spec["components"]}
    Draft202012Validator(schema).validate(instance)


class Recorder(Gateway):
    """Remembers each call and the body of its answer."""

    def __init__(self, url):
        super().__init__(url)
        self.exchanges = []

    def _pass_on(self, request):
        answer = super()._pass_on(request)
        self.exchanges.append((request, answer))
        return answer


def use_everything(client, folder):
    """Every method of the client that talks to the service."""
    request = client.create_request("732829320", business_name="SYNTHETIC SAS")
    client.update_notes(request.id, Notes(is_holding=False, workforce_number=3, **dict.fromkeys(ACCOUNTS, 100)))
    statement = folder / "statement.csv"
    statement.write_text("date,label,amount\n2025-01-05,VIR RECU,12.50\n", encoding="utf-8")
    client.upload(
        request.id, statement, name="bank_statement", period="month", date="2025-01-31", media_type="text/csv"
    )
    report = client.wait_for_report(request.id, product="bank", timeout=timedelta(minutes=1))
    client.get_request(request.id), client.list_requests(), client.list_reports(product="financial")
    client.get_report(report.id), client.download_pdf(report.id)
    (
        client.add_webhook("http://127.0.0.1:9/hook"),
        client.list_webhooks(),
        client.remove_webhook("http://127.0.0.1:9/hook"),
    )


@pytest.mark.parametrize(
    "manners",
    [
        {},
        {"list_style": "bare", "answer_style": "flat", "upload_style": "put", "medium_status": "pending_extraction"},
        {"list_style": "data", "upload_place": "beside"},
    ],
)
def test_client__sends_and_receives_what_is_described(tmp_path, manners):
    with Sandbox(companies=3, seed=5, clean=True, report_delay=0.0, **manners) as sandbox:
        spec = requests.get(f"{sandbox.url}/openapi.json", timeout=100).json()
        with Recorder(sandbox.url) as gateway:
            settings = sandbox.settings(base_url=gateway.url, poll_seconds=0.1, business_id=sandbox.organization_id)
            with XRayClient(settings) as client:
                use_everything(client, tmp_path)
    used = set()
    for request, answer in gateway.exchanges:
        described = operation(spec, request.method, request.path)
        used.add(described["operationId"])
        if "requestBody" in described:
            check(spec, described["requestBody"]["content"], json.loads(request.body))
        check(spec, described["responses"]["200"]["content"], json.loads(answer.wire.partition(b"\r\n\r\n")[2]))
    assert used == {o["operationId"] for methods in spec["paths"].values() for o in methods.values()}


def test_description__has_every_route_of_the_server_and_no_other():
    with Sandbox(companies=1, clean=True) as sandbox:
        app = server.create_app(sandbox.economy, "user", "token")
    spec = description("http://127.0.0.1:1")
    routes = {r.path for r in app.routes} - {server.DESCRIPTION, "/storage/", "/storage/{key:path}"}
    assert routes == set(spec["paths"])
    Draft202012Validator.check_schema({"$defs": spec["components"]["schemas"]})
    for methods in spec["paths"].values():
        assert {o["x-grade"] for o in methods.values()} <= {"documented", "assumed"}
