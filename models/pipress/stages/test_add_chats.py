"""Chats beside documents, with a tiny model that says anything at all."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipress.conftest import prose, write_texts
from pipress.errors import StageError
from pipress.stages import add_chats
from pipress.texts.records import Document, read_records
from pipress.texts.rows import chat_share, read_rows
from pipress.validation import check_params
from pipress.weights.folder import load_encoder

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture
def chatty(tiny_llama_2: Path, tmp_path: Path) -> Path:
    """A model with a chat template and a token that begins every text."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama_2, folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": TEMPLATE}))
    return folder


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
