"""Rows of token ids: how they begin, where documents end, which part of a text they are."""

import re
from pathlib import Path

import numpy as np
import pytest

from pipress.conftest import prose, write_texts
from pipress.texts import rows as rows_module
from pipress.texts.records import Document, write_documents
from pipress.texts.rows import (
    CHARACTERS,
    END_OF_DOCUMENT,
    Encoder,
    mixed,
    pack,
    pack_whole,
    read_rows,
    spread,
    text_of,
    write_chat_share,
)
from pipress.tokenization import end_of_text, llama_encoder
from pipress.weights.folder import load_encoder

BEGIN, END = -2, -1


def test_documents_run_on_from_row_to_row_and_every_row_begins_as_a_text_does() -> None:
    rows = pack([[1, 2, 3, 4], [5], [6, 7, 8]], BEGIN, END, 4)
    assert rows.tolist() == [[BEGIN, 1, 2, 3], [BEGIN, 4, END, 5], [BEGIN, END, 6, 7]]
    assert pack([[1, 2, 3, 4], [5]], None, END, 3).tolist() == [[1, 2, 3], [4, END, 5]]
    assert pack([[1, 2], [3, 4]], None, None, 2).tolist() == [[1, 2], [3, 4]]
    assert pack([], BEGIN, END, 4).shape == (0, 4)


def test_what_fits_in_a_row_is_whole_in_one() -> None:
    rows = pack_whole([[1, 2], [3, 4], [5, 6, 7], [8]], BEGIN, END, 6)
    assert rows.tolist() == [[BEGIN, 1, 2, END, 3, 4], [BEGIN, 3, 4, END, 5, 6], [BEGIN, 5, 6, 7, END, 8]]
    assert pack_whole([[1, 2], [3, 4]], None, END, 3).tolist() == [[1, 2, END], [3, 4, END]], "nothing twice"
    long = [1, 2, 3, 4, 5, 6, 7]
    assert pack_whole([[9], long, [8]], None, END, 3).tolist() == [[9, END, 1], [2, 3, 4], [5, 6, 7], [END, 8, END]]
    assert pack_whole([], BEGIN, END, 4).shape == (0, 4) and pack_whole([[1]], None, END, 4).shape == (0, 4)


@pytest.mark.parametrize("length", [20, 64, 200])
def test_every_chat_that_fits_is_whole_in_a_row(length: int, tmp_path: Path) -> None:
    chats = [f"<{index} " + "x" * (index * 7 % 40) + ">" for index in range(200)]
    write_documents(tmp_path / "a.jsonl", [Document(chat, chat=True) for chat in chats])
    write_chat_share(tmp_path, 0.33)
    rows = [text_of(row, "|") for row in read_rows(tmp_path / "a.jsonl", CHARACTERS, length, 10_000)]
    found = [chat for chat in chats if any(chat + "|" in row for row in rows)]
    missing = [chat for chat in chats if len(chat) < length and chat not in found]
    assert all(chat in chats[-length:] for chat in missing) and len(missing) < length / 5, "what fills no last row"
    assert length == 20 or len(found) > 180


def characters(begin: int | None = None) -> Encoder:
    return Encoder(CHARACTERS.encode, begin, END)


def test_as_many_documents_end_as_there_are_and_each_row_begins_once(tmp_path: Path) -> None:
    """With the last row filled up, so that nothing is left out."""
    documents = [Document(f"{index}\n\n" + "x" * (20 + index)) for index in range(30)]
    length = sum(len(document.text) + 1 for document in documents)
    documents[-1] = Document(documents[-1].text + "x" * (-length % 31))
    write_documents(tmp_path / "a.jsonl", documents)
    rows = read_rows(tmp_path / "a.jsonl", characters(BEGIN), 32, 10_000)
    assert (rows == END).sum() == 30 and (rows[:, 0] == BEGIN).all() and (rows == BEGIN).sum() == len(rows)
    text = text_of(np.where(rows == BEGIN, ord("^"), rows).flatten(), "|").replace("^", "")
    assert text == "".join(document.text + "|" for document in documents), "empty lines of a document stay"


@pytest.mark.parametrize("count", [3, 10, 40])
def test_few_rows_of_a_long_text_come_from_all_over_it(count: int, tmp_path: Path) -> None:
    text = prose(3, 5000)
    write_texts(tmp_path, text, validation="")
    rows = read_rows(tmp_path / "calibration.jsonl", CHARACTERS, 64, count)
    assert rows.shape == (count, 64)
    pieces = [max(text_of(row, "|").split("|"), key=len).strip() for row in rows]
    places = [text.index(piece) / len(text) for piece in pieces]
    assert places == sorted(places) and places[0] < 0.5 and places[-1] > 0.5
    assert max(b - a for a, b in zip([0, *places], [*places, 1], strict=True)) < 3 / count


def test_a_short_text_gives_what_there_is(tmp_path: Path) -> None:
    write_texts(tmp_path, "Too little.", validation="")
    assert read_rows(tmp_path / "calibration.jsonl", CHARACTERS, 64, 10).shape == (0, 64)
    assert len(read_rows(tmp_path / "calibration.jsonl", CHARACTERS, 4, 10)) == 3


def test_no_more_of_a_long_document_is_tokenized_than_all_rows_take(tmp_path: Path) -> None:
    write_documents(tmp_path / "a.jsonl", [Document("x" * 10**6)])
    seen: list[int] = []

    def encode(texts: list[str]) -> list[list[int]]:
        seen.extend(map(len, texts))
        return CHARACTERS.encode(texts)

    assert len(read_rows(tmp_path / "a.jsonl", Encoder(encode, None, END), 10, 5)) == 5
    assert sum(seen) <= 10 * 5 * 12


def with_chats(folder: Path, share: float, chats: int = 50) -> Path:
    documents = [Document("t" * 99)] * 100 + [Document("c" * 99, chat=True)] * chats
    write_documents(folder / "a.jsonl", documents)
    write_chat_share(folder, share)
    return folder / "a.jsonl"


@pytest.mark.parametrize(("share", "expected"), [(0, 0), (0.33, 10), (0.5, 15), (0.9, 27)])
def test_chats_have_their_share_of_rows_and_are_mixed_in_evenly(share: float, expected: int, tmp_path: Path) -> None:
    rows = read_rows(with_chats(tmp_path, share), CHARACTERS, 100, 30)
    is_chat = [ord("c") in row for row in rows]
    assert len(rows) == 30 and sum(is_chat) == expected
    if expected:
        places = [place for place, chat in enumerate(is_chat) if chat]
        assert max(b - a for a, b in zip([0, *places], [*places, 30], strict=True)) <= 30 / expected + 1


def test_where_chats_are_few_documents_make_up_for_them(tmp_path: Path) -> None:
    rows = read_rows(with_chats(tmp_path, 0.5, chats=4), CHARACTERS, 100, 30)
    assert len(rows) == 30 and sum(ord("c") in row for row in rows) == 4


def test_where_there_are_only_chats_all_rows_are(tmp_path: Path) -> None:
    write_documents(tmp_path / "a.jsonl", [Document("c" * 99, chat=True)] * 50)
    write_chat_share(tmp_path, 0.33)
    assert len(read_rows(tmp_path / "a.jsonl", CHARACTERS, 100, 30)) == 30


def test_without_a_share_beside_them_chats_are_not_read(tmp_path: Path) -> None:
    path = with_chats(tmp_path, 0.5)
    (tmp_path / "chat.json").unlink()
    assert not any(ord("c") in row for row in read_rows(path, CHARACTERS, 100, 30))


def test_rows_are_spread_and_mixed() -> None:
    assert spread(np.arange(10)[:, None], 3).flatten().tolist() == [0, 4, 9]
    assert mixed(np.zeros((4, 1)), np.ones((2, 1))).flatten().tolist() == [0, 1, 0, 0, 1, 0]
    assert mixed(np.zeros((2, 1)), np.empty((0, 1))).flatten().tolist() == [0, 0]


def test_llama_cpp_and_the_model_folder_cut_alike(
    llama_cpp_bin: Path, tiny_gguf: Path, tiny_model: Path, tiny_llama_2: Path, tmp_path: Path
) -> None:
    """A byte-level model has no token that begins a text; a SentencePiece one has, and rows of it begin with it."""
    byte_level, sentence_piece = load_encoder(tiny_model), load_encoder(tiny_llama_2)
    theirs = llama_encoder(llama_cpp_bin, tiny_gguf / "model.gguf")
    assert theirs.begin is byte_level.begin is None and end_of_text(llama_cpp_bin, tiny_gguf / "model.gguf")
    assert theirs.end == 257 and byte_level.end == 256
    assert (sentence_piece.begin, sentence_piece.end) == (1, 2)
    write_texts(tmp_path, prose(1, 50), validation="")
    rows = read_rows(tmp_path / "calibration.jsonl", sentence_piece, 32, 20)
    assert (rows[:, 0] == 1).all() and (rows[:, 1:] != 1).all()
    assert theirs.encode([]) == []


def test_an_end_of_document_is_no_character() -> None:
    assert END_OF_DOCUMENT < 0


def test_much_text_is_tokenized_by_what_a_sample_of_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_documents(tmp_path / "a.jsonl", [Document(f"{index:04d} " * 20) for index in range(3000)])
    seen: list[int] = []

    def encode(texts: list[str]) -> list[list[int]]:
        seen.extend(map(len, texts))
        return CHARACTERS.encode(texts)

    encoder = Encoder(encode, None, END)
    guessed = read_rows(tmp_path / "a.jsonl", encoder, 50, 1000)
    assert len(guessed) == 1000 and sum(seen) == 300_000, "on the guess, all of it for a sixth"
    seen.clear()
    monkeypatch.setattr(rows_module, "GUESSED_BYTES", 100_000)
    rows = read_rows(tmp_path / "a.jsonl", encoder, 50, 1000)
    assert rows.shape == (1000, 50) and sum(seen) <= 1000 * 100 + 256 * 100, "a document a row, and the sample"
    numbers = [int(number) for row in rows for number in re.findall(r"\b(\d{4}) ", text_of(row, "|"))]
    assert numbers == sorted(numbers) and max(b - a for a, b in zip([0, *numbers], [*numbers, 2999], strict=True)) < 20
