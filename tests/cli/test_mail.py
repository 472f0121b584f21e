"""``czo-auth mail preview``: what people are mailed, without a database or a mail server."""

from __future__ import annotations

from pathlib import Path

from czo_auth.core.mail import MAIL_KINDS
from tests.cli.shell import Shell


def test_all_kinds_are_listed_with_what_can_be_switched_off(tmp_path: Path) -> None:
    shell = Shell(tmp_path, env={"CZO_AUTH_MAILS_OFF": "new_browser"})
    lines = shell.run("mail", "preview").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(MAIL_KINDS)
    assert "new_browser  can be switched off  (off)" in lines
    assert "password_changed" in lines
    assert not list(tmp_path.glob("**/*.db")), "nothing is made"


def test_a_mail_is_shown_in_a_language_with_brand_and_own_words(tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.mkdir()
    words.joinpath("de.toml").write_text('[mail.new_browser]\nsubject = "Wer war das?"\n', "utf-8")
    env = {"CZO_AUTH_BRAND_NAME": "Müller", "CZO_AUTH_TRANSLATIONS_DIR": str(words)}
    shell = Shell(tmp_path, env=env)
    shown = shell.run("mail", "preview", "new_browser", "--language", "de").stdout
    assert shown.startswith("To: ada@example.com\nSubject: Müller: Wer war das?\n\n")
    html = shell.run("mail", "preview", "new_browser", "--language", "fr", "--html").stdout
    assert html.startswith("<!doctype html>")
    assert '<html lang="fr">' in html


def test_unknown_kinds_and_languages_are_refused_with_those_that_there_are(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    refused = shell.run("mail", "preview", "nothing", code=2)
    assert "czo-auth mail preview" in refused.stderr
    refused = shell.run("mail", "preview", "new_browser", "--language", "xx", code=2)
    assert "de, en, fr" in refused.stderr


def test_a_broken_translation_file_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.joinpath("de.toml").write_text("[mail]\nat = 3\n")
    shell = Shell(tmp_path, env={"CZO_AUTH_TRANSLATIONS_DIR": str(tmp_path)})
    refused = shell.run("mail", "preview", "new_browser", code=2)
    assert refused.stderr.strip() == (
        "czo-auth: CZO_AUTH_TRANSLATIONS_DIR: de.toml is broken: mail.at is not a text in quotes (at line 2)."
    )
