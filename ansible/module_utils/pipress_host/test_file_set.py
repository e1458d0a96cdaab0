"""Small files and links, put in place together."""

from __future__ import annotations

from pipress_host.file_set import write_file_set


def test_what_differs_is_placed_and_told_and_the_second_time_nothing_is(tmp_path):
    files = [{"path": str(tmp_path / "a/unit"), "content": "[Unit]\n", "mode": "0640"}]
    links = [{"path": str(tmp_path / "current"), "target": "a"}]
    outcome = write_file_set(files, links, {}, check=False)
    assert outcome["paths"] == [str(tmp_path / "a/unit"), str(tmp_path / "current")]
    assert (tmp_path / "current/unit").read_text() == "[Unit]\n"
    assert (tmp_path / "a/unit").stat().st_mode & 0o777 == 0o640
    assert write_file_set(files, links, {}, check=False) == {"changed": False, "paths": [], "diff": []}


def test_check_tells_the_same_and_touches_nothing(tmp_path):
    files = [{"path": str(tmp_path / "unit"), "content": "new\n"}]
    (tmp_path / "unit").write_text("edited by hand\n")
    outcome = write_file_set(files, [], {}, check=True)
    assert (outcome["diff"][0]["before"], outcome["diff"][0]["after"]) == ("edited by hand\n", "new\n")
    assert (tmp_path / "unit").read_text() == "edited by hand\n"


def test_a_secret_is_placed_for_root_alone_and_in_no_diff(tmp_path):
    keys = tmp_path / "api-keys"
    keys.write_text("old-secret\n")
    outcome = write_file_set([], [], {str(keys): "new-secret\n"}, check=False)
    assert keys.stat().st_mode & 0o777 == 0o600
    assert outcome["changed"]
    assert "-secret" not in str(outcome)


def test_a_link_that_became_a_file_of_its_own_is_a_link_again(tmp_path):
    (tmp_path / "unit").write_text("sed -i leaves a file\n")
    write_file_set([], [{"path": str(tmp_path / "unit"), "target": "elsewhere"}], {}, check=False)
    assert (tmp_path / "unit").readlink().name == "elsewhere"


def test_a_file_behind_a_link_is_not_written_through_it(tmp_path):
    (tmp_path / "target").write_text("mine\n")
    (tmp_path / "file").symlink_to("target")
    write_file_set([{"path": str(tmp_path / "file"), "content": "ours\n"}], [], {}, check=False)
    assert (tmp_path / "target").read_text() == "mine\n"
    assert not (tmp_path / "file").is_symlink()


def test_a_changed_mode_is_put_right(tmp_path):
    files = [{"path": str(tmp_path / "activate"), "content": "#!\n", "mode": "0755"}]
    write_file_set(files, [], {}, check=False)
    (tmp_path / "activate").chmod(0o644)
    assert write_file_set(files, [], {}, check=False)["diff"][0]["before"] == "mode 0644\n"
    assert (tmp_path / "activate").stat().st_mode & 0o777 == 0o755


def test_every_file_and_link_is_told_with_what_was_there(tmp_path):
    (tmp_path / "link").symlink_to("old")
    (tmp_path / "plain").write_text("mine\n")
    (tmp_path / "same").write_text("as it was\n")
    (tmp_path / "same").chmod(0o600)
    files = [{"path": str(tmp_path / "new"), "content": "new\n"}]
    files += [{"path": str(tmp_path / "same"), "content": "as it was\n", "mode": None}]
    links = [{"path": str(tmp_path / name), "target": "to"} for name in ("link", "plain", "absent")]
    diff = write_file_set(files, links, {}, check=False)["diff"]
    assert [(change["before"], change["after"]) for change in diff] == [
        ("", "new\n"),
        ("mode 0600\n", "mode 0644\n"),
        ("-> old\n", "-> to\n"),
        ("a file of its own\n", "-> to\n"),
        ("", "-> to\n"),
    ]
    assert all(change["before_header"] == change["after_header"] for change in diff)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o644


def test_check_neither_points_links_nor_writes_secrets(tmp_path):
    links = [{"path": str(tmp_path / "link"), "target": "to"}]
    outcome = write_file_set([], links, {str(tmp_path / "keys"): "s3cret"}, check=True)
    assert outcome["changed"] and list(tmp_path.iterdir()) == []


def test_of_a_secret_it_is_only_told_whether_there_was_one(tmp_path):
    keys = tmp_path / "keys"
    first = write_file_set([], [], {str(keys): "s3cret"}, check=False)["diff"]
    assert (first[0]["before"], first[0]["after"]) == ("", "(another secret)\n")
    assert write_file_set([], [], {str(keys): "s3cret"}, check=False)["changed"] is False
    keys.chmod(0o644)
    again = write_file_set([], [], {str(keys): "s3cret"}, check=False)["diff"]
    assert again[0]["before"] == "(secret)\n" and keys.stat().st_mode & 0o777 == 0o600
