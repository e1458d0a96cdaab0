"""What is on the disk when the power goes, as far as it shows in what is synced."""

from __future__ import annotations

from pipress_host import files
from pipress_host.files import make_folder, write_atomically


def test_every_folder_that_is_made_is_synced_into_the_one_above(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    write_atomically(tmp_path / "releases/one/release.json", b"{}")
    assert synced == [tmp_path, tmp_path / "releases", tmp_path / "releases/one"]
    assert (tmp_path / "releases/one/release.json").read_bytes() == b"{}"


def test_a_folder_that_is_there_costs_nothing(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    make_folder(tmp_path)
    assert synced == []
