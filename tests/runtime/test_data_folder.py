"""The data folder of the embedded default is there when the runtime starts."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from czo_auth import Auth, Settings, StartRefused
from czo_auth.crypto.sealing import new_key_text


async def test_host_with_a_key_of_its_own_needs_no_folder_yet(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    auth = Auth(Settings(encryption_key=SecretStr(new_key_text()), data_dir=folder))
    await auth.start()
    await auth.stop()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    auth = Auth(Settings(encryption_key=SecretStr(new_key_text()), data_dir=tmp_path / "file" / "data"))
    with pytest.raises(StartRefused, match="file/data cannot be used: Not a directory"):
        await auth.start()
    await auth.stop()
