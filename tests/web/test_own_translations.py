"""A deployment's own texts, laid over ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from czo_auth.errors import StartRefused
from czo_auth.translations import Catalogs, shipped


def _written(folder: Path, name: str, text: str) -> Path:
    folder.joinpath(name).write_text(text, encoding="utf-8")
    return folder


def test_own_texts_replace_ours_and_the_others_stay(tmp_path: Path) -> None:
    folder = _written(
        tmp_path, "de.toml", '[sign_in]\ntitle = "Willkommen"\n[own]\nslogan = "Gut & günstig"\n'
    )
    german = Catalogs(folder)["de"]
    assert german("sign_in.title") == "Willkommen"
    assert german("own.slogan") == "Gut & günstig"
    assert german("sign_up.title") == shipped()["de"]("sign_up.title")
    assert shipped()["de"]("sign_in.title") == "Anmelden"


def test_a_file_of_a_language_that_is_not_shipped_adds_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = Catalogs(_written(tmp_path, "it.toml", '[sign_in]\ntitle = "Accedi"\n'), default="it")
    assert found.best("it-CH, en;q=0.5").language == "it"
    assert found.best("es").language == "it"
    assert found["it"]("sign_in.title") == "Accedi"
    assert found["it"]("sign_in.do") == "Sign in"
    assert "it.toml lacks" in caplog.text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[sign_in]\ntitle = "Anmelden\n', "line 2"),
        ('[sign_in]\n\ntitel = "Anmelden"\n', "sign_in.titel is not one of our texts (at line 3)"),
        (
            '[sign_in]\nas = "Als: {actro}"\n',
            "sign_in.as puts in {actro}, where there is {actor} (at line 2)",
        ),
        ('[sign_in]\nas = "Als: {actor"\n', "sign_in.as has a brace that belongs to no value (at line 2)"),
        (
            '[sign_in]\nas = "{actor.__class__}"\n',
            "sign_in.as has a brace that belongs to no value (at line 2)",
        ),
        ('[sign_in]\nas = "{actor!r}"\n', "sign_in.as has a brace that belongs to no value (at line 2)"),
        ("[sign_in]\ntitle = 3\n", "sign_in.title is not a text in quotes (at line 2)"),
        ('[sign_in]\ntitle = " "\n', "sign_in.title is empty (at line 2)"),
        ('\ntitle = "x"\n', "title is outside of every table (at line 2)"),
        (
            '[time]\nmonths = "Januar Februar"\n',
            "time.months does not hold twelve names of months (at line 2)",
        ),
    ],
)
def test_a_broken_file_stops_the_start_and_says_which_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(StartRefused) as refused:
        Catalogs(_written(tmp_path, "de.toml", text))
    assert str(refused.value).startswith("CZO_AUTH_TRANSLATIONS_DIR: de.toml is broken: ")
    assert sentence in str(refused.value)


def test_files_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match=r"cannot be read"):
        Catalogs(tmp_path / "missing")
    tmp_path.joinpath("de.toml").write_bytes(b'[sign_in]\ntitle = "\xff"\n')
    with pytest.raises(StartRefused, match=r"not UTF-8 \(at line 2\)"):
        Catalogs(tmp_path)


def test_a_file_that_is_called_by_no_language_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match=r"Deutsch-1\.toml"):
        Catalogs(_written(tmp_path, "Deutsch-1.toml", ""))


def test_a_default_language_without_a_file_stops_the_start() -> None:
    with pytest.raises(StartRefused, match=r"there are de, en, fr"):
        Catalogs(default="it")
