"""Documents: kept whole, chosen from all over a text, and held back."""

from pathlib import Path

import pytest

from pipress.texts.records import Document, choose, hold_back, read_records, spread_order, write_documents


def numbered(count: int, source: int = 0, size: int = 100) -> list[Document]:
    return [Document(f"{index:04d}".ljust(size, "."), source) for index in range(count)]


def test_a_document_comes_back_as_it_was(tmp_path: Path) -> None:
    documents = [Document("one\n\ntwo \u2028 ü", 3), Document('"', chat=True)]
    write_documents(tmp_path / "a.jsonl", documents)
    assert read_records(tmp_path / "a.jsonl") == documents
    assert (tmp_path / "a.jsonl").read_text(encoding="utf-8").count("\n") == 2


@pytest.mark.parametrize("count", [1, 2, 3, 10, 97, 1000])
def test_the_first_few_of_a_spread_order_are_spread_whatever_their_number(count: int) -> None:
    order = list(spread_order(count))
    assert sorted(order) == list(range(count))
    for few in (2, 5, 30):
        if few <= count:
            places = sorted(order[:few])
            gaps = [b - a for a, b in zip([-1, *places], [*places, count], strict=True)]
            assert max(gaps) <= 3 * count / few + 1


def test_documents_are_chosen_in_their_order_until_they_are_enough_in_bytes_and_in_number() -> None:
    documents = numbered(50)
    for size, count, expected in ((0, 3, 3), (1000, 3, 10), (10**6, 1, 50), (0, 99, 50)):
        chosen = choose(documents, size, count)
        assert len(chosen) == expected and chosen == sorted(chosen, key=documents.index)
    assert choose([Document("ü" * 100)] * 9, 250, 1) == [Document("ü" * 100)] * 2, "bytes, not characters"


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_of_every_source_about_a_share_is_held_back_in_whole_documents(share: float) -> None:
    documents = [*numbered(100, 0), *numbered(10, 1, size=1000), *numbered(1, 2)]
    learn, judge = hold_back(documents, share)
    assert sorted([*learn, *judge], key=documents.index) == documents
    for source in (0, 1):
        size = sum(len(d.text) for d in judge if d.source == source)
        assert share * 10_000 <= size <= share * 10_000 + 1000
    assert not any(document.source == 2 for document in judge), "the only one of its source is learned from"


def test_what_is_held_back_is_spread_over_its_source() -> None:
    documents = numbered(100)
    _, judge = hold_back(documents, 0.1)
    places = [documents.index(document) for document in judge]
    assert len(places) == 10 and max(b - a for a, b in zip([0, *places], [*places, 99], strict=True)) <= 25


def test_one_of_two_is_held_back_however_little_is_asked_for() -> None:
    learn, judge = hold_back(numbered(2), 0.0001)
    assert len(learn) == len(judge) == 1
