"""Chats beside documents, with a tiny model that says anything at all."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipress.conftest import prose, write_conversations, write_texts
from pipress.errors import StageError
from pipress.stages import add_chats, fetch_dataset
from pipress.stages.conftest import TEMPLATE
from pipress.texts.records import Document, read_records
from pipress.texts.rows import chat_share, read_rows
from pipress.validation import check_params
from pipress.weights.folder import load_encoder, load_tokenizer


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    (folder := tmp_path / "datasets").mkdir()
    return write_texts(folder, prose(1, 400), prose(2, 100))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short questions and answers, which the tiny model has the context for."""
    monkeypatch.setattr(add_chats, "PASSAGE_CHARACTERS", 60)
    monkeypatch.setattr(add_chats, "ANSWER_TOKENS", 8)
    monkeypatch.setitem(add_chats.BATCH, "cpu", 2)


def params(**changes: Any) -> dict[str, Any]:
    return {**check_params("add-chats", {"tokens": 1024}), **changes}


def chats_of(folder: Path, use: str) -> list[str]:
    return [document.text for document in read_records(folder / f"{use}.jsonl") if document.chat]


@pytest.mark.usefixtures("quick")
def test_each_text_gets_chats_about_its_own_passages(make_spec: Any, chatty: Path, texts: Path, tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    metrics = add_chats.run(make_spec("add-chats", **params()), {"model": chatty, "datasets": texts}, out)
    assert chat_share(out) == 0.33 and metrics["chatTokens"] > 0
    chats = {use: chats_of(out, use) for use in ("calibration", "validation", "evaluation")}
    assert {use: len(chats[use]) for use in chats} == {"calibration": 3, "validation": 1, "evaluation": 1}
    assert metrics["chats"] == 5
    for use in chats:
        documents = read_records(texts / f"{use}.jsonl")
        assert [document for document in read_records(out / f"{use}.jsonl") if not document.chat] == documents
        whole = " ".join(document.text for document in documents)
        for chat in chats[use]:
            # A passage of 60 characters begins and ends anywhere, also across two documents.
            words = chat.split("[user]")[1].split("[assistant]")[0]
            assert any(words[start : start + 25] in whole for start in range(len(words)))


@pytest.mark.usefixtures("quick")
def test_a_chat_is_as_the_template_has_it_and_begins_once(
    make_spec: Any, chatty: Path, texts: Path, tmp_path: Path
) -> None:
    (out := tmp_path / "out").mkdir()
    add_chats.run(make_spec("add-chats", **params(share=0.9)), {"model": chatty, "datasets": texts}, out)
    for chat in chats_of(out, "calibration"):
        assert chat.startswith("[user] ") and "\n[assistant] " in chat and "<s>" not in chat
    encoder = load_encoder(chatty)
    rows = read_rows(out / "calibration.jsonl", encoder, 32, 10)
    assert (rows[:, 0] == encoder.begin).all() and (rows == encoder.begin).sum() == len(rows)


@pytest.mark.usefixtures("quick")
def test_a_killed_run_goes_on_behind_the_chats_that_it_has(
    make_spec: Any, chatty: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole := tmp_path / "whole").mkdir(), (out := tmp_path / "out").mkdir()
    inputs = {"model": chatty, "datasets": texts}
    spec = make_spec("add-chats", **params())
    add_chats.run(spec, inputs, whole)
    for file in spec.checkpoint.glob("*.jsonl"):
        file.unlink()

    answer, asked = add_chats.answer, []

    def killed(model: Any, tokenizer: Any, questions: list[str], seed: int, progress: Any) -> list[Document]:
        asked.append(len(questions))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return answer(model, tokenizer, questions, seed, progress)

    monkeypatch.setattr(add_chats, "answer", killed)
    with pytest.raises(KeyboardInterrupt):
        add_chats.run(spec, inputs, out)
    add_chats.run(spec, inputs, out)
    assert asked == [2, 1, 1, 1, 1], "two are there; the third, and one each of the others"
    for use in ("calibration", "validation", "evaluation"):
        assert (out / f"{use}.jsonl").read_text() == (whole / f"{use}.jsonl").read_text()


@pytest.mark.usefixtures("quick")
def test_progress_moves_with_every_token_and_never_falls(
    make_spec: Any, chatty: Path, texts: Path, tmp_path: Path
) -> None:
    (out := tmp_path / "out").mkdir()
    reports: list[tuple[float, str]] = []
    spec = replace(make_spec("add-chats", **params()), report=lambda done, message: reports.append((done, message)))
    add_chats.run(spec, {"model": chatty, "datasets": texts}, out)
    fractions = [done for done, _ in reports]
    assert fractions == sorted(fractions) and fractions[0] > 0.05 and fractions[-1] <= 1
    batches = ("calibration · chat 1/3", "calibration · chat 3/3", "validation · chat 1/1", "evaluation · chat 1/1")
    for batch in batches:
        assert len({done for done, message in reports if message.startswith(f"{batch}, token ")}) > 1, batch


def datasets_with(make_spec: Any, folder: Path, **uses: list[dict[str, Any]]) -> Path:
    """What fetch-dataset leaves of them."""
    (out := folder / "fetched").mkdir()
    fetch_dataset.run(make_spec("fetch-dataset", **uses), {}, out)
    return out


@pytest.mark.usefixtures("quick")
def test_conversations_that_are_brought_take_the_place_of_made_ones(
    make_spec: Any, chatty: Path, text_source: Any, tmp_path: Path
) -> None:
    calibration = [text_source("a", prose(1, 99)), write_conversations(tmp_path / "b.jsonl", range(40), "Be brief.")]
    fetched = datasets_with(make_spec, tmp_path, calibration=calibration, evaluation=[text_source("c", prose(2, 99))])
    (out := tmp_path / "out").mkdir()
    metrics = add_chats.run(make_spec("add-chats", **params()), {"model": chatty, "datasets": fetched}, out)
    chats = {use: chats_of(out, use) for use in ("calibration", "validation", "evaluation")}
    assert {use: len(chats[use]) for use in chats} == {"calibration": 37, "validation": 3, "evaluation": 1}
    assert metrics["chats"] == 41
    wanted = {f"[system] Be brief.\n[user] {prose(n, 1)}\n[assistant] {prose(n + 5000, 2)}\n" for n in range(40)}
    assert {*chats["calibration"], *chats["validation"]} == wanted
    for use in chats:
        texts = [document for document in read_records(fetched / f"{use}.jsonl") if not document.chat]
        assert [document for document in read_records(out / f"{use}.jsonl") if not document.chat] == texts


def test_nothing_but_conversations_needs_no_answers(
    make_spec: Any, chatty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses = {
        use: [write_conversations(tmp_path / use, range(n, n + 30))]
        for n, use in ((0, "calibration"), (50, "evaluation"))
    }
    fetched = datasets_with(make_spec, tmp_path, **uses)
    monkeypatch.setattr(add_chats, "load_model", lambda *_: pytest.fail("loaded"))
    (out := tmp_path / "out").mkdir()
    assert add_chats.run(make_spec("add-chats", **params()), {"model": chatty, "datasets": fetched}, out)["chats"] == 60
    rows = read_rows(out / "calibration.jsonl", load_encoder(chatty), 64, 20)
    assert len(rows) == 20, "all rows are conversations"


def test_what_the_template_refuses_is_said_by_line_before_a_model_is_loaded(
    make_spec: Any, chatty: Path, text_source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = chatty / "tokenizer_config.json"
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": refusing + TEMPLATE}))
    (chatty / "chat_template.jinja").unlink(missing_ok=True)
    data = write_conversations(tmp_path / "a.jsonl", range(3), "Be brief.")
    fetched = datasets_with(make_spec, tmp_path, calibration=[data], evaluation=[text_source("c", prose(2, 99))])
    monkeypatch.setattr(add_chats, "load_model", lambda *_: pytest.fail("loaded"))
    refusal = r"datasets.calibration.0: System role not supported \(lines 1, 2, 3\)"
    with pytest.raises(StageError, match=refusal):
        add_chats.run(make_spec("add-chats", **params()), {"model": chatty, "datasets": fetched}, tmp_path)


def test_conversations_for_a_model_without_a_template_are_refused(
    make_spec: Any, tiny_model: Path, text_source: Any, tmp_path: Path
) -> None:
    data = write_conversations(tmp_path / "a.jsonl", range(9))
    fetched = datasets_with(make_spec, tmp_path, calibration=[data], evaluation=[text_source("c", prose(2, 99))])
    with pytest.raises(StageError, match="hold conversations, and the base model has no chat template"):
        add_chats.run(make_spec("add-chats", **params()), {"model": tiny_model, "datasets": fetched}, tmp_path)


def test_a_conversation_is_the_tokens_that_smollm2_is_served_with(
    make_spec: Any, smollm2_tokenizer: Path, text_source: Any, tmp_path: Path
) -> None:
    """Its tokenizer names a `bos_token` that begins turns and no text: the first turn keeps it."""
    data = write_conversations(tmp_path / "a.jsonl", range(30), "Be brief.")
    fetched = datasets_with(make_spec, tmp_path, calibration=[data], evaluation=[data | {"part": {"from": 0.9}}])
    (out := tmp_path / "out").mkdir()
    add_chats.run(make_spec("add-chats", **params()), {"model": smollm2_tokenizer, "datasets": fetched}, out)
    tokenizer, encoder = load_tokenizer(smollm2_tokenizer), load_encoder(smollm2_tokenizer)
    assert encoder.begin is None and tokenizer.bos_token == "<|im_start|>"
    begin, stop, end = (tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in ("im_start", "im_end", "endoftext"))
    chats = chats_of(out, "calibration")
    for chat in chats:
        messages = [
            {"role": role, "content": text}
            for turn in chat.split("<|im_start|>")[1:]
            for role, _, text in [turn.removesuffix("<|im_end|>\n").partition("\n")]
        ]
        assert [message["role"] for message in messages] == ["system", "user", "assistant"]
        assert encoder.encode([chat])[0] == tokenizer.apply_chat_template(messages)["input_ids"]
    rows = read_rows(out / "calibration.jsonl", encoder, 512, 1000)
    assert (rows[:, 0] == begin).all(), "each row begins with a conversation"
    for row in rows:
        places = np.flatnonzero(row == end)
        for start, stopped in zip([0, *(places + 1)], places, strict=False):
            turns = row[start:stopped]
            assert turns[0] == begin and (turns == begin).sum() == (turns == stop).sum() == 3


def test_a_model_without_a_template_gets_none(make_spec: Any, tiny_model: Path, texts: Path, tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    spec = make_spec("add-chats", **params())
    assert add_chats.run(spec, {"model": tiny_model, "datasets": texts}, out) == {"chats": 0, "chatTokens": 0}
    assert chat_share(out) == 0
    for file in texts.iterdir():
        assert (out / file.name).read_bytes() == file.read_bytes()


def test_the_share_has_bounds() -> None:
    for share in (-0.1, 0.95):
        with pytest.raises(StageError, match="share"):
            check_params("add-chats", {"share": share})
