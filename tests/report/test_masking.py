"""What counts as a secret, and that it is found in every form in which it may be met."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from threading import Thread
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from pytest_selfrep.report.cutting import cut, cut_before
from pytest_selfrep.report.masking import Masking
from pytest_selfrep.tools.shell import HEAD, TAIL, Kept


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
    "secret", ['with "quotes" and \\', "päss/wörd+=&", "sk-1234", "sk-12345", "sk-123456", "a/b+c=d~e"]
)
def test_a_secret_is_found_as_json_a_url_and_base64_have_it(secret: str) -> None:
    found = masking(A_KEY=secret + "-abc")
    secret += "-abc"
    for form in (
        secret,
        json.dumps(secret),
        repr(secret),
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        quote(secret).lower(),
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"{secret}\n".encode()).decode(),
        base64.urlsafe_b64encode(secret.encode()).decode(),
    ):
        assert "[masked: A_KEY]" in found.text(f"it is {form}.")


@pytest.mark.parametrize("user", ["", "u", "me", "you"])
@pytest.mark.parametrize("secret", ["sk-abcd/efgh+ijkl", "pässwörter", "12345678"])
def test_a_secret_is_found_within_what_is_in_base64(user: str, secret: str) -> None:
    encoded = base64.b64encode(f"{user}:{secret}, and more".encode()).decode()
    masked = masking(A_KEY=secret).text(f"Basic {encoded}.")
    assert re.fullmatch(r"Basic (.*)\[masked: A_KEY\](.*)\.", masked)
    left = masked.removeprefix("Basic ").removesuffix(".").split("[masked: A_KEY]")
    assert len("".join(left)) * 6 < (len(user) + 1 + len(", and more")) * 8 + 24


def wrapped(secret: str, column: int) -> str:
    """In base64, in a file whose 76th column is in the middle of it."""
    before = "x" * (57 - column)
    return base64.encodebytes(f"{before}{secret}{'y' * 60}".encode()).decode()


@pytest.mark.parametrize("column", range(3, 30, 5))
@pytest.mark.parametrize(
    "written",
    [
        str,
        json.dumps,
        repr,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n      "),
    ],
    ids=["plain", "json", "python", "windows", "yaml"],
)
def test_a_secret_in_base64_is_found_over_the_end_of_a_line(
    written: Callable[[str], str], column: int
) -> None:
    secret = "sk-abcdefgh-0123456789-ijklmnop"
    encoded = wrapped(secret, column)
    masked = masking(A_KEY=secret).text(f"it is\n{written(encoded)}!\nnext\n")
    assert masked.count("[masked: A_KEY]") == 1
    assert masked.startswith("it is\n")
    assert masked.endswith("!\nnext\n")
    own = encoded.replace("\n", "")[(57 - column) * 8 // 6 + 1 : (57 - column + len(secret)) * 8 // 6 - 1]
    assert not any(own[start : start + 8] in masked for start in range(len(own) - 7))


@pytest.mark.parametrize("name", ["DATABASE_URL", "HTTPS_PROXY", "BROKERS"])
@pytest.mark.parametrize("scheme", ["https", "postgresql+psycopg2"])
def test_a_password_in_a_url_is_a_secret_whatever_its_variable_is_called(name: str, scheme: str) -> None:
    found = masking(**{name: f"http://other:80/, {scheme}://me:p%40ssw0rd-1@db.acme.io:5432/shop?x=a@b"})
    assert found.text("p@ssw0rd-1, p%40ssw0rd-1") == f"[masked: {name}], [masked: {name}]"
    assert found.text("db.acme.io:5432/shop?x=a@b") == "db.acme.io:5432/shop?x=a@b"


def test_a_password_that_is_the_name_of_its_user_is_nobodys_secret() -> None:
    assert masking(DATABASE_URL="postgres://postgres:postgres@db/x").text("postgres") == "postgres"


def test_variables_may_go_while_they_are_looked_at() -> None:
    class Vanishing(dict[str, str]):
        def __getitem__(self, name: str) -> str:
            raise KeyError(name)

        def get(self, name: str, default: Any = None) -> Any:
            return default if name == "B_KEY" else super().get(name, default)

    found = Masking()
    found.look(Vanishing(A_KEY="abcdefgh", B_KEY="ijklmnop"))
    assert found.text("abcdefgh ijklmnop") == "[masked: A_KEY] ijklmnop"


def test_several_threads_may_find_secrets_at_once() -> None:
    found = Masking()

    def look(thread: int) -> None:
        for number in range(50):
            found.look({f"A{thread}_{number}_KEY": f"abcdefgh-{thread}-{number}."})
            found.text("abcdefgh")

    threads = [Thread(target=look, args=(thread,)) for thread in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    said = " ".join(f"abcdefgh-{thread}-{number}." for thread in range(4) for number in range(50))
    assert "abcdefgh" not in found.text(said)


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


SIGNS = [
    "\n[... 900 bytes cut ...]\n",
    "... ",
    "'... ",
    "\ufffd\n[... 9 bytes cut ...]\n\ufffd",
    r"\n[... 9 bytes cut ...]\n",
]


@pytest.mark.parametrize("sign", SIGNS)
def test_the_end_of_a_secret_that_was_cut_off_is_masked_too(sign: str) -> None:
    found = masking(A_KEY="sk-abcdefgh-ijklmn")
    assert found.text(f"{sign}efgh-ijklmn is wrong") == f"{sign}[masked: A_KEY] is wrong"
    assert found.text(f"{sign}efgh-ijklmx is wrong") == f"{sign}efgh-ijklmx is wrong"
    assert found.text("wrong is efgh-ijklmn") == "wrong is efgh-ijklmn"


def test_what_is_left_of_a_secret_that_was_cut_off_at_both_ends_is_masked_too() -> None:
    found = masking(A_KEY="sk-" + "abcdefghij" * 100 + "-end")
    assert found.text("... fghijabcdefghij ...") == "... [masked: A_KEY] ..."
    assert found.text("... fghijabcdefghij") == "... [masked: A_KEY]"


@pytest.mark.parametrize("at", range(9, 40))
def test_wherever_a_text_is_cut_a_secret_is_not_left_in_it(at: int) -> None:
    secret = "sk-abcdefgh-0123456789-ijklmnop"
    text = f"the key {secret} is wrong"
    found = masking(A_KEY=secret)
    for masked in found.text(cut(text, at)), found.text(cut_before(text, at)):
        assert not any(secret[start : start + 8] in masked for start in range(len(secret) - 7))


def test_what_a_shell_cuts_out_of_the_middle_leaves_no_part_of_a_secret() -> None:
    secret = "sk-abcdefgh-0123456789-ijklmnop"
    kept = Kept()
    kept.write(b"x" * (HEAD - 12) + secret.encode() + b"y" * 9_000 + secret.encode() + b"z" * (TAIL - 20))

    masked = masking(A_KEY=secret).text(kept.text())

    assert masked.count("[masked: A_KEY]") == 2
    assert not any(secret[start : start + 8] in masked for start in range(len(secret) - 7))
