import copy
import pickle

import pytest

from xray_analytics.errors import InputError
from xray_analytics.settings import Secret, Settings, WebhookSettings

CANARY = "canary-7f3a"
ENVIRONMENT = {"XRAY_USER_ID": "user", "XRAY_SESSION_TOKEN": CANARY}


def test_from_environment__defaults_and_file(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('workers = 3\nuser_id = "from file"\n[transaction_aliases]\nlabel = ["wording2"]\n')
    settings = Settings.from_environment({**ENVIRONMENT, "XRAY_SETTINGS": str(file)})
    assert (settings.workers, settings.user_id.reveal(), settings.api_version) == (3, "user", "2024-01-25")
    assert settings.transaction_aliases == {"label": ("wording2",)}
    assert settings.base_url == "https://api.lending.soprafinancing.io"


def test_from_environment__says_what_is_missing_and_where_to_get_it():
    with pytest.raises(InputError, match=r"^XRAY_USER_ID and XRAY_SESSION_TOKEN not set: in the web app"):
        Settings.from_environment({})
    with pytest.raises(InputError, match=r"^XRAY_SESSION_TOKEN not set"):
        Settings.from_environment({"XRAY_USER_ID": "u"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wrokers = 3", r"unknown names \['wrokers'\]"),
        ("workers = ", r"settings\.toml cannot be read \(Invalid value .*\); mend it"),
        ("workers = 0", "above 0"),
        ('workers = "3"', "workers must be a whole number, not '3'"),
        ("workers = true", "workers must be a whole number, not True"),
        ("read_timeout = 0", "read_timeout must be above 0"),
        ("api_version = 2024-01-25", "api_version must be a text in quotes, not datetime.date"),
        ('paging = "no"', "paging must be true or false"),
        ('id_pattern = "["', "id_pattern '\\[' is no regular expression"),
        ('sources = "bank"', "settings.toml: sources is not of the form a table"),
        ('upload_hosts = ".amazonaws.com"', "upload_hosts is not of the form a list"),
        ('[transaction_aliases]\nlabel = "wording"', "transaction_aliases is not of the form a table"),
    ],
)
def test_settings_file__is_checked(tmp_path, text, message):
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        Settings.from_environment(ENVIRONMENT, file=file)


@pytest.mark.parametrize(
    ("text", "message"),
    [("burst = 1.5", "webhook.burst must be a whole number"), ("keys = 5", "webhook.keys must be printable ASCII")],
)
def test_settings_file__webhook_is_checked(tmp_path, text, message):
    file = tmp_path / "settings.toml"
    file.write_text(f"[webhook]\n{text}\n")
    with pytest.raises(InputError, match=message):
        WebhookSettings.from_environment({}, file=file)


@pytest.mark.parametrize(
    "url", ["http://example.org", "ftp://127.0.0.1", "https://u:p@host", "https://h/?x=1", "host", ""]
)
def test_base_url__https_is_required_outside_this_machine(url):
    with pytest.raises(InputError, match="base_url"):
        Settings(base_url=url, user_id="u", session_token="t")


def test_ca_file__must_hold_certificates(tmp_path):
    with pytest.raises(InputError, match=r"ca_file .*nothing\.pem cannot be used \(No such file or directory\)"):
        Settings.from_environment(ENVIRONMENT | {"XRAY_CA_FILE": str(tmp_path / "nothing.pem")})
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(InputError, match=r"ca\.pem cannot be used \(it holds no certificates in PEM\)"):
        Settings(user_id="u", session_token="t", ca_file=tmp_path / "ca.pem")


def test_secret__never_shows():
    settings = Settings.from_environment(ENVIRONMENT)
    assert CANARY not in repr(settings) + str(settings) + f"{settings.session_token!r:>20}"
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            copied(settings.session_token)
    assert Secret(CANARY) == settings.session_token
    assert Secret("other") != settings.session_token


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "é"])
def test_secret__must_fit_a_header(token):
    with pytest.raises(InputError, match="session_token must be printable ASCII") as caught:
        Settings(user_id="u", session_token=token)
    assert token not in str(caught.value) or not token
