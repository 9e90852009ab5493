"""Addresses, and the commands for people and projects."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from annotation_studies import make_study
from typer.testing import CliRunner

from annotation.cli import app
from annotation.people import add_person, change_person, digest, find_person, list_people, new_token
from annotation.projects import list_projects
from annotation.server.addresses import chosen_address
from annotation.server.owner import owner_token
from annotation.study import Study
from dabench.errors import DabenchError, UsageError


def test_loopback_is_the_default_and_answers_to_its_names_only():
    address = chosen_address()
    assert (address.host, address.port, address.loopback, address.secure) == ("127.0.0.1", 8765, True, False)
    assert address.hosts(8765) == ["127.0.0.1:8765", "localhost:8765"]
    assert address.url(8765) == "http://127.0.0.1:8765"
    assert chosen_address("localhost").host == "127.0.0.1"
    assert chosen_address("::1").hosts(8765) == ["[::1]:8765"]
    assert chosen_address("[::1]").url(80) == "http://[::1]:80"
    assert chosen_address(allowed=["Depth.Example"]).hosts(1) == ["depth.example:1", "127.0.0.1:1", "localhost:1"]


def test_browsers_leave_out_the_usual_port():
    assert "localhost" in chosen_address().hosts(80) and "localhost" not in chosen_address().hosts(443)
    assert "localhost" in chosen_address(secure=True).hosts(443)
    assert chosen_address(secure=True).url(443) == "https://127.0.0.1:443"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "10.0.0.1", "fe80::1", "8.8.8.8"])
def test_any_other_address_needs_the_flag(host):
    with pytest.raises(UsageError, match="other machines") as caught:
        chosen_address(host, allowed=["lab"])
    assert "--allow-network" in str(caught.value)
    address = chosen_address(host, allowed=["lab"], allow_network=True)
    assert not address.loopback and address.names[0] == "lab"


def test_every_address_at_once_needs_a_name():
    with pytest.raises(UsageError, match="no name to answer to"):
        chosen_address("0.0.0.0", allow_network=True)
    assert chosen_address("192.168.1.5", allow_network=True).names == ("192.168.1.5",)
    hosts = chosen_address("0.0.0.0", allow_network=True, allowed=["lab-pc", "192.168.1.5"]).hosts(9)
    assert hosts == ["lab-pc:9", "192.168.1.5:9", "127.0.0.1:9", "localhost:9"]


@pytest.mark.parametrize(
    "name", ["", "*", "http://lab", "lab:8765", "a b", "lab.", "-lab", "lab/../x", "x" * 64, "*.example"]
)
def test_names_that_are_none(name):
    with pytest.raises(UsageError, match="host name"):
        chosen_address(allowed=[name])


@pytest.mark.parametrize(
    ("host", "port"), [("lab-pc", 1), ("", 1), ("127.0.0.1.5", 1), ("127.0.0.1", 65536), ("127.0.0.1", -1)]
)
def test_addresses_that_are_none(host, port):
    with pytest.raises(UsageError):
        chosen_address(host, port)


def test_the_first_start_makes_an_owner(new_study):
    study = new_study(people={"ann": "annotator"})
    token = owner_token(study)
    assert token and find_person(study, "Owner")["role"] == "owner"
    assert owner_token(study) is None, "later starts print nothing"
    renewed = owner_token(study, renew=True)
    assert renewed and renewed != token
    rows = study.store.query("SELECT token_sha256, revoked FROM credentials ORDER BY created, rowid")
    assert [(row["token_sha256"], row["revoked"] is None) for row in rows] == [
        (digest(token), False),
        (digest(renewed), True),
    ]
    assert len(study.store.query("SELECT 1 FROM people WHERE role = 'owner'")) == 1


def test_an_owner_without_a_link_gets_one(study):
    assert owner_token(study) and owner_token(study) is None
    assert [person["alias"] for person in list_people(study) if person["link"]] == ["olga"]


def test_aliases_count_on_and_are_never_used_again(new_study):
    study = new_study(people={})
    assert [add_person(study, f"P {n}", "annotator") for n in range(3)] == ["p01", "p02", "p03"]
    change_person(study, "p03", {"active": False})
    assert add_person(study, "P 2", "annotator") == "p04", "the name is free again, the alias is not"
    with pytest.raises(DabenchError, match="p04"):
        change_person(study, "p03", {"active": True})
    assert find_person(study, "P 2")["alias"] == "p04"


@pytest.fixture
def folder(tmp_path):
    make_study(tmp_path / "study", people={"p01": "owner", "ann": "annotator"}).close()
    return tmp_path / "study"


def run(*words) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_people_on_the_command_line(folder):
    said = run("people", "add", folder, "Zoë", "--role", "adjudicator", "--url", "https://lab:9/")
    token = re.search(r"^https://lab:9/#t=([\w-]{32})$", said, re.MULTILINE)[1]
    again = run("people", "link", folder, "Zoë").strip()
    assert again.startswith("http://127.0.0.1:8765/#t=") and token not in again
    listed = run("people", "list", folder)
    assert re.search(r"^p02 +adjudicator +link +Zoë$", listed, re.MULTILINE)
    run("people", "disable", folder, "p02")
    people = {person["alias"]: person for person in json.loads(run("people", "list", folder, "--json"))}
    assert people["p02"]["active"] is False and people["ann"]["link"] is False
    run("people", "disable", folder, "p02", "--undo")
    with Study.open(folder) as study:
        assert find_person(study, "Zoë")["active"] == 1
        assert new_token(study, "p02") != token


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["people", "add", "Ann", "--role", "boss"], "role 'boss'"),
        (["people", "add", "Ann"], "the name of ann"),
        (["people", "add", "Ben", "--url", "lab:80"], "address of a server"),
        (["people", "link", "nobody"], "nobody is called"),
        (["people", "disable", "p01"], "the only owner"),
        (["project", "set", "main"], "nothing to change"),
        (["project", "set", "main", "policy"], "KEY=VALUE"),
        (["project", "set", "main", "polcy=single"], "unknown setting 'polcy'"),
        (["project", "set", "main", "policy=sngle"], "unknown policy 'sngle'"),
        (["project", "set", "main", "policy.x=1"], "no parts"),
        (["project", "set", "main", "gold_share=lots"], "gold_share"),
        (["project", "set", "main", "--state", "opened"], "state 'opened'"),
        (["project", "set", "other", "policy=single"], "no project 'other'"),
        (["project", "create", "main"], "already"),
    ],
)
def test_mistakes_are_named(folder, words, message):
    before = (folder / "study.db").read_bytes()
    with pytest.raises(DabenchError, match=re.escape(message)):
        run(words[0], words[1], folder, *words[2:])
    with Study.open(folder) as study:
        assert len(list_people(study)) == 2 and len(list_projects(study)) == 1
    assert (folder / "study.db").read_bytes() == before


def test_projects_on_the_command_line(folder):
    run("project", "create", folder, "glass", "layered=true", "policy=majority-3")
    run(
        "project", "set", folder, "glass", "qualification.pairs=10", "qualification.pass_at=8",
        "skip_reasons=too dark, other", "scene_targets={\"indoor\": 20}", "instructions=2",
        "gold_share=0.1", "--state", "paused",
    )  # fmt: skip
    glass = json.loads(run("project", "list", folder, "--json"))[1]
    settings = glass["settings"]
    assert glass["state"] == "paused" and settings["layered"] is True and settings["policy"] == "majority-3"
    assert settings["qualification"] == {"pairs": 10, "pass_at": 8, "tries": 2}
    assert settings["skip_reasons"] == ["too dark", "other"] and settings["scene_targets"] == {"indoor": 20}
    assert settings["instructions"] == "2" and settings["instructions_version"] == 2
    run("project", "set", folder, "glass", "qualification.tries=5")
    listed = run("project", "list", folder)
    assert '"tries": 5' in listed and '"pairs": 10' in listed and "repeat_share" not in listed


@pytest.fixture
def started(monkeypatch):
    """``serve`` without the server: what the command hands over."""
    calls = []

    def run_server(study, address, *, certificate, key, on_bound):
        calls.append((address, certificate, key))
        on_bound(address.url(address.port))

    monkeypatch.setattr("annotation.server.running.run_server", run_server)
    return calls


def test_serve_prints_a_link_once(folder, started):
    first = run("serve", folder)
    assert re.search(r"^  http://127\.0\.0\.1:8765/#t=[\w-]{32}$", first, re.MULTILINE) and "in clear" not in first
    assert "#t=" not in run("serve", folder)
    assert "#t=" in run("serve", folder, "--new-link", "--port", "80")
    assert [(address.host, address.port) for address, *_ in started] == [("127.0.0.1", 8765)] * 2 + [("127.0.0.1", 80)]


def test_serve_says_what_a_network_means(folder, started):
    options = ["serve", folder, "--host", "0.0.0.0", "--allow-network", "--allowed-host", "lab"]
    result = CliRunner().invoke(app, [str(word) for word in options])
    assert (
        "Other machines can connect" in result.output
        and "in clear" in result.output
        and "http://lab:8765/#t=" in result.output
    )
    secure = CliRunner().invoke(
        app, [str(word) for word in [*options, "--cert", "c.pem", "--key", "k.pem", "--new-link"]]
    )
    assert "in clear" not in secure.output and "https://lab:8765/#t=" in secure.output
    for refused in (["--host", "0.0.0.0"], ["--host", "10.0.0.1", "--allowed-host", "lab"], ["--cert", "c.pem"]):
        with pytest.raises(UsageError):
            run("serve", folder, *refused)
    assert len(started) == 2


@pytest.mark.parametrize("package", ["fastapi", "uvicorn"])
def test_without_the_packages_of_the_extra_it_says_how_to_get_them(tmp_path, package):
    code = f"import sys; sys.modules[{package!r}] = None; from dabench.cli import main; main()"
    command = [sys.executable, "-c", code, "annotate", "serve", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"need {package}" in done.stderr and "pip install 'dabench[annotate]'" in done.stderr
