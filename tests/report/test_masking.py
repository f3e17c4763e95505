"""What counts as a secret, and that it is found in every form in which it may be met."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from pytest_selfrep.report.masking import Masking


def masking(**environment: str) -> Masking:
    found = Masking()
    found.look(environment)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "MYTOKEN",
        "APIKEY",
        "db_password",
        "PGPASSWORD",
        "DB_PASS",
        "GOOGLE_CREDENTIALS",
        "GH_PAT",
        "MYSQL_PWD",
    ],
)
def test_a_variable_whose_name_looks_so_holds_a_secret(name: str) -> None:
    assert masking(**{name: "abcdefgh"}).text("is abcdefgh.") == f"is [masked: {name}]."


@pytest.mark.parametrize("name", ["PATH", "PWD", "OLDPWD", "HOME", "AUTHOR", "COMPASS", "SSH_AUTH_SOCK"])
def test_others_do_not(name: str) -> None:
    assert masking(**{name: "abcdefgh"}).text("is abcdefgh.") == "is abcdefgh."


def test_short_values_stay_for_they_stand_in_texts_by_chance() -> None:
    assert masking(USE_TOKEN="running").text("running") == "running"


def test_of_secrets_within_one_another_the_longer_one_is_masked() -> None:
    found = masking(A_KEY="abcdefgh", B_KEY="abcdefgh-ijk")
    assert found.text("abcdefgh-ijk abcdefgh") == "[masked: B_KEY] [masked: A_KEY]"


@pytest.mark.parametrize(
    "secret", ['with "quotes" and \\', "päss/wörd+=&", "sk-1234", "sk-12345", "sk-123456"]
)
def test_a_secret_is_found_as_json_a_url_and_base64_have_it(secret: str) -> None:
    found = masking(A_KEY=secret + "-abc")
    secret += "-abc"
    for form in (
        secret,
        json.dumps(secret),
        repr(secret),
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"{secret}\n".encode()).decode(),
    ):
        assert "[masked: A_KEY]" in found.text(f"it is {form}.")


def test_the_lines_of_a_secret_are_found_one_by_one() -> None:
    found = masking(TLS_PRIVATE_KEY="-----BEGIN-----\nMIIEvQIBADANBg\n-----END-----\n")
    assert found.text("    MIIEvQIBADANBg\n") == "    [masked: TLS_PRIVATE_KEY]\n"


def test_what_was_a_secret_once_remains_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Masking()
    with monkeypatch.context() as patched:
        patched.setenv("LATE_TOKEN", "abcdefgh-late")
        assert found.text("abcdefgh-late") == "[masked: LATE_TOKEN]"
    assert found.text("abcdefgh-late") == "[masked: LATE_TOKEN]"


def test_a_tree_keeps_its_shape() -> None:
    tree = {"a": ["abcdefgh", 1, None, 2.5, True], "abcdefgh": ("abcdefgh",)}
    assert masking(A_KEY="abcdefgh").tree(tree) == {
        "a": ["[masked: A_KEY]", 1, None, 2.5, True],
        "[masked: A_KEY]": ("[masked: A_KEY]",),
    }


@pytest.mark.parametrize("end", [" ...", "...", "' ...", " [... 900 characters in all]", "[...]"])
def test_the_beginning_of_a_secret_that_was_cut_off_is_masked_too(end: str) -> None:
    found = masking(A_KEY="sk-abcdefgh-ijklmn")
    assert found.text(f"wrong key sk-abcdefgh-ij{end}") == f"wrong key [masked: A_KEY]{end}"
    assert found.text(f"wrong key sk-abcdefgh-ix{end}") == f"wrong key sk-abcdefgh-ix{end}"
    assert found.text("wrong key sk-abcdefgh-ij, it says") == "wrong key sk-abcdefgh-ij, it says"


def test_of_a_beginning_that_two_secrets_share_one_is_named() -> None:
    found = masking(A_KEY="sk-abcdefgh-ijklmn", B_KEY="sk-abcdefzz")
    assert found.text("sk-abcdefgh ... and sk-abcdefz ...") == "[masked: A_KEY] ... and [masked: B_KEY] ..."
