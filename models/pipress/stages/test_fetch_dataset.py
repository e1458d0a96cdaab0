import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipress.conftest import prose, write_conversations
from pipress.digests import file_sha256
from pipress.errors import StageError
from pipress.sources.local_datasets import local_problems
from pipress.stages import fetch_dataset
from pipress.texts import reading
from pipress.texts.conversations import what_is_said
from pipress.texts.mediawiki import plain_text
from pipress.texts.overlap import shared_shares
from pipress.texts.reading import read_documents, take_part
from pipress.texts.records import read_records

Source = Callable[[str, str], dict[str, Any]]


def test_both_texts_come_out_apart(make_spec: Any, text_source: Source, tmp_path: Path) -> None:
    spec = make_spec(
        "fetch-dataset", calibration=[text_source("a", prose(1, 99))], evaluation=[text_source("b", prose(2, 99))]
    )
    metrics = fetch_dataset.run(spec, {}, tmp_path)
    read = {use: read_records(tmp_path / f"{use}.jsonl") for use in ("calibration", "validation", "evaluation")}
    assert {f"{use}Documents": len(read[use]) for use in read}.items() <= metrics.items()
    texts = {use: {document.text for document in documents} for use, documents in read.items()}
    assert texts["calibration"] and texts["validation"] and not texts["calibration"] & texts["validation"]
    assert not (texts["calibration"] | texts["validation"]) & texts["evaluation"]
    assert metrics["sharedShare"] == 0


def test_a_calibration_text_equal_to_the_evaluation_text_is_refused(
    make_spec: Any, text_source: Source, tmp_path: Path
) -> None:
    spec = make_spec(
        "fetch-dataset", calibration=[text_source("a", prose(1, 99))], evaluation=[text_source("b", prose(1, 99))]
    )
    with pytest.raises(StageError, match="100% of the evaluation text is in the calibration text too"):
        fetch_dataset.run(spec, {}, tmp_path)


def test_a_page_of_the_evaluation_text_is_refused_as_calibration_text(
    make_spec: Any, text_source: Source, tmp_path: Path
) -> None:
    whole = prose(1, 3000)
    page = whole[: len(whole) // 150]
    assert shared_shares([page], [whole])[1] < fetch_dataset.MAX_SHARED
    spec = make_spec("fetch-dataset", calibration=[text_source("a", page)], evaluation=[text_source("b", whole)])
    with pytest.raises(StageError, match="100% of the calibration text is in the evaluation text too"):
        fetch_dataset.run(spec, {}, tmp_path)


def test_equal_texts_without_words_are_refused(make_spec: Any, text_source: Source, tmp_path: Path) -> None:
    spec = make_spec(
        "fetch-dataset", calibration=[text_source("a", "… " * 999)], evaluation=[text_source("b", "… " * 999)]
    )
    with pytest.raises(StageError, match="100% of the evaluation text"):
        fetch_dataset.run(spec, {}, tmp_path)


def test_json_lines_are_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one\\ntwo", "id": 1}\n\n{"text": "three"}\n')
    assert list(read_documents(path, "jsonl")) == ["one\ntwo", "three"]
    with pytest.raises(StageError, match=r"line 1 of a.jsonl has no text under `body` — set `field` to one of: text"):
        list(read_documents(path, "jsonl", "body"))
    path.write_text("no json\n")
    with pytest.raises(StageError, match=r"line 1 of a.jsonl is not JSON"):
        list(read_documents(path, "jsonl"))


def test_parquet_is_refused_with_what_to_take_instead(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"a.parquet is a Parquet file — name a text or JSON Lines file"):
        list(read_documents(tmp_path / "a.parquet", "text"))


def test_two_parts_of_one_text_do_not_overlap(make_spec: Any, text_source: Source, tmp_path: Path) -> None:
    source = text_source("a", prose(1, 400))
    halves = [{**source, "part": part} for part in ({"to": 0.5}, {"from": 0.5})]
    metrics = fetch_dataset.run(make_spec("fetch-dataset", calibration=halves[:1], evaluation=halves[1:]), {}, tmp_path)
    assert metrics["sharedShare"] == 0


def test_empty_text_is_refused(make_spec: Any, text_source: Source, tmp_path: Path) -> None:
    spec = make_spec(
        "fetch-dataset", calibration=[text_source("a", " \n\n ")], evaluation=[text_source("b", prose(1, 9))]
    )
    with pytest.raises(StageError, match="the calibration text is empty or almost so: 0 bytes"):
        fetch_dataset.run(spec, {}, tmp_path)


def test_a_wrong_digest_is_refused_with_the_right_one(make_spec: Any, text_source: Source, tmp_path: Path) -> None:
    source = text_source("a", prose(1, 99))
    (tmp_path / "a").write_text(prose(3, 99))
    with pytest.raises(StageError, match=f"has the SHA-256 {file_sha256(tmp_path / 'a')}, the recipe says"):
        fetch_dataset.run(make_spec("fetch-dataset", calibration=[source], evaluation=[source]), {}, tmp_path)


def test_a_text_without_a_source_is_refused(make_spec: Any, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="a text names no source"):
        fetch_dataset.run(make_spec("fetch-dataset", calibration=[{"format": "text"}], evaluation=[]), {}, tmp_path)


def test_packed_text_that_is_cut_off_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.bz2").write_bytes(bz2.compress(prose(1, 99).encode())[:200])
    with pytest.raises(StageError, match=r"a.bz2 cannot be unpacked"):
        list(read_documents(tmp_path / "a.bz2", "text"))


def test_text_is_cut_at_the_same_places_however_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = prose(1, 99).replace(" 1 7.", "\n\n\n 1 7.")
    (tmp_path / "a.txt").write_text(text)
    at_once = list(read_documents(tmp_path / "a.txt", "text"))
    assert len(at_once) > 2 and "\n\n".join(at_once).split() == text.split()
    monkeypatch.setattr(reading, "CHUNK_CHARACTERS", 7)
    assert list(read_documents(tmp_path / "a.txt", "text")) == at_once


def test_no_more_of_a_packed_file_is_read_than_is_taken(make_spec: Any, text_source: Source, tmp_path: Path) -> None:
    lines = [json.dumps({"text": prose(3, 10), "url": index}) for index in range(4000)]
    path = tmp_path / "c4.json.gz"
    # Cut off in the middle: whoever reads to the end sees it.
    packed = gzip.compress("\n".join(lines).encode())
    path.write_bytes(packed[: len(packed) // 2])
    dataset = {"local": {"path": str(path), "sha256": file_sha256(path)}, "format": "jsonl", "maxSize": "20 kB"}
    evaluation = [text_source("b", prose(2, 99))]
    metrics = fetch_dataset.run(make_spec("fetch-dataset", calibration=[dataset], evaluation=evaluation), {}, tmp_path)
    assert 19_000 < metrics["calibrationBytes"] <= 20_000
    del dataset["maxSize"]
    with pytest.raises(StageError, match=r"c4.json.gz cannot be unpacked"):
        fetch_dataset.run(make_spec("fetch-dataset", calibration=[dataset], evaluation=evaluation), {}, tmp_path)


def test_what_is_not_utf8_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StageError, match=r"a.txt is not UTF-8 text"):
        list(read_documents(tmp_path / "a.txt", "text"))


def test_parts_are_cut_between_documents() -> None:
    documents = ["a" * 100, "b" * 100, "c" * 100, "d" * 100]
    assert take_part(lambda: documents, 0, 0.5, None) == documents[:2]
    assert take_part(lambda: documents, 0.5, 1, None) == documents[2:]
    assert take_part(lambda: documents, 0, 1, 250) == documents[:2]


def test_passages_are_shared_when_thirteen_words_run_alike() -> None:
    text = prose(1, 5)
    ours, theirs = shared_shares([text], ["before", text, "after"])
    assert ours == 1 and 0.5 < theirs < 1
    assert shared_shares([text], [prose(2, 5)]) == (0, 0)
    half = " ".join(text.split()[: len(text.split()) // 2])
    ours, theirs = shared_shares([half], [text])
    assert ours == 1 and 0.2 < theirs < 0.5


def test_conversations_are_held_back_whole_and_count_once(make_spec: Any, tmp_path: Path) -> None:
    """Half of them have the same system prompt, which is no reason to take them for the same text."""
    system = prose(9, 9)
    write_conversations(tmp_path / "a.jsonl", range(40), system)
    twice = (tmp_path / "a.jsonl").read_text()
    (tmp_path / "a.jsonl").write_text(twice * 2)
    calibration = {"local": {"path": str(tmp_path / "a.jsonl"), "sha256": file_sha256(tmp_path / "a.jsonl")}}
    evaluation = write_conversations(tmp_path / "b.jsonl", range(30, 60), system)
    spec = make_spec("fetch-dataset", calibration=[{**calibration, "format": "chat"}], evaluation=[evaluation])
    metrics = fetch_dataset.run(spec, {}, tmp_path)
    parts = {use: read_records(tmp_path / f"{use}.jsonl") for use in ("calibration", "validation", "evaluation")}
    assert all(document.chat for documents in parts.values() for document in documents)
    said = {use: [what_is_said(document.text) for document in documents] for use, documents in parts.items()}
    every = [text for texts in said.values() for text in texts]
    assert len(set(every)) == len(every) == 60, "each once, those that are in both for evaluation alone"
    assert {use: len(texts) for use, texts in said.items()} == {"calibration": 28, "validation": 2, "evaluation": 30}
    assert metrics["sharedShare"] == 0


def test_conversations_beside_documents_are_held_back_of_their_own_source(
    make_spec: Any, text_source: Source, tmp_path: Path
) -> None:
    calibration = [text_source("a", prose(1, 99)), write_conversations(tmp_path / "a.jsonl", range(40))]
    spec = make_spec("fetch-dataset", calibration=calibration, evaluation=[text_source("b", prose(2, 99))])
    fetch_dataset.run(spec, {}, tmp_path)
    assert {document.chat for document in read_records(tmp_path / "validation.jsonl")} == {True, False}


def test_conversations_that_are_all_in_the_evaluation_text_too_are_refused(make_spec: Any, tmp_path: Path) -> None:
    whole = write_conversations(tmp_path / "a.jsonl", range(40))
    with pytest.raises(StageError, match=r"datasets.calibration.0 has 0 different conversations that the evaluation"):
        fetch_dataset.run(make_spec("fetch-dataset", calibration=[whole], evaluation=[whole]), {}, tmp_path)
    parts = [{**whole, "part": part} for part in ({"to": 0.9}, {"from": 0.9})]
    fetch_dataset.run(make_spec("fetch-dataset", calibration=parts[:1], evaluation=parts[1:]), {}, tmp_path)
    assert len(read_records(tmp_path / "evaluation.jsonl")) == 4


def test_local_files_are_looked_at_before_anything_runs(text_source: Source, tmp_path: Path) -> None:
    good, one = (write_conversations(tmp_path / name, range(n)) for name, n in (("a.jsonl", 9), ("b.jsonl", 1)))
    broken = text_source("c.jsonl", "{}\n")
    datasets = {
        "good": good,
        "one": one,
        "gone": {"local": {**good["local"], "path": "/nowhere"}, "format": "text"},
        "other": {"local": {**good["local"], "sha256": "0" * 64}, "format": "text"},
        "broken": {**broken, "format": "chat"},
    }
    entries = [{"where": name, "use": "calibration", "dataset": dataset} for name, dataset in datasets.items()]
    entries.append({"where": "for evaluation", "use": "evaluation", "dataset": one})
    found = {problem["where"]: problem["what"] for problem in local_problems(entries)}
    assert [*found] == ["one", "gone", "other", "broken"]
    assert found["one"].startswith("b.jsonl has 1 different conversations, and needs at least 2")
    assert found["broken"] == "c.jsonl cannot be read as conversations: has no `messages` (line 1)"


def test_markup_leaves_only_prose() -> None:
    markup = (
        "{{Infobox|a={{b}}}}'''Anarchism''' is a [[political philosophy|philosophy]]<ref>x</ref> of [[Greece]].\n"
        "== Heading ==\n* item\n{| class=x\n| cell\n|}\n[[File:a.jpg|thumb|a [[link]] b]]See [http://a.b the site]."
    )
    assert plain_text(markup) == "Anarchism is a philosophy of Greece.\n\nSee the site."
