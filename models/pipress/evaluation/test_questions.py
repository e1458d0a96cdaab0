import json
from collections import Counter

import pytest
from jsonschema import Draft202012Validator

from pipress.evaluation.questions import DIFFICULTIES, KINDS, QUESTIONS, Question, chosen


def test_a_part_of_a_kind_is_as_hard_as_the_whole() -> None:
    for per_kind in (3, 9, 18):
        cells = Counter((question.kind, question.difficulty) for question in chosen(per_kind))
        assert cells == {(kind, difficulty): per_kind // 3 for kind in KINDS for difficulty in DIFFICULTIES}
    assert chosen(0) == [] and chosen(3) == [question for question in chosen(18) if question in chosen(3)]


def test_no_question_is_asked_twice_and_all_are_short() -> None:
    texts = [question.text for question in chosen(18)]
    assert len(texts) == len(set(texts)) == 90
    # A byte-level tokenizer makes a token of each; template and answer need room beside them.
    assert max(map(len, texts)) < 300


@pytest.mark.parametrize(
    ("kind", "expected", "right", "wrong"),
    [
        ("arithmetic", "56", ["56", "7 x 8 = 56.", "It is **56**", "56.0"], ["65", "56 or 57", "fifty-six", "156", ""]),
        ("arithmetic", "6322", ["6,322", "10,000 - 3,678 = 6,322."], ["6,323", "63,22", "6 322 and 1"]),
        ("capitals", "Rome", ["Rome", "The capital of Italy is ROME."], ["Romeo", "Milan", ""]),
        ("capitals", "Chi[sș]in[aă]u", ["Chisinau", "It is Chișinău."], ["Kishinev"]),
        ("copying", "KX-4071", ["KX-4071", '"KX-4071"', "`KX-4071`\n"], ["KX-4071.", "Code: KX-4071", "kx-4071"]),
        ("format", r"2021-03-05\.?", ["2021-03-05", " 2021-03-05.\n"], ["The date is 2021-03-05", "2021-3-5"]),
    ],
)
def test_answers_are_checked(kind: str, expected: str, right: list[str], wrong: list[str]) -> None:
    question = Question(kind, "easy", "?", expected)
    assert [answer for answer in right if not question.is_right(answer)] == []
    assert [answer for answer in wrong if question.is_right(answer)] == []


def test_json_has_to_fit_its_schema_whatever_is_said_around_it() -> None:
    (question,) = [question for question in chosen(18) if "Peter is 31" in question.text]
    for right in (
        '{"name": "Peter", "age": 31}',
        '```json\n{"age": 31, "name": "Peter"}',
        'Here you are:\n{"name": "Peter", "age": 31}\nPeter is 31.',
    ):
        assert question.is_right(right), right
    for wrong in (
        '{"name": "Peter", "age": "31"}',
        '{"name": "Peter"}',
        '{"name": "Peter", "age": 31, "city": "Rome"}',
        '{"name": "Peter", "age": 31',
        '[{"name": "Peter", "age": 31}]',
        "Peter is 31",
        "[" * 100_000,
        "",
    ):
        assert not question.is_right(wrong), wrong


# To the questions of the kind `format`, in their order.
BY_A_PERSON = {
    "easy": ["Yes, it is.", "No.", "How was it?", "1, 2, 3, 4, 5", "My favorite color is red.", "CAT"],
    "medium": ["red, green, blue", "2021-03-05", "1-2-3-4-5-6", "[answer: 21]", "*FIG*", "a b c d e"],
    "hard": [
        "[star;moon;sun]",
        "Maria,36,Lima",
        "12 > 10 > 8 > 6 > 4 > 2",
        "COLD WHITE LONG DARK",
        "(14:05)",
        "| iron | Fe | 26 |",
    ],
}


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_a_good_answer_passes(difficulty: str) -> None:
    for (text, pattern), answer in zip(QUESTIONS["format"][difficulty], BY_A_PERSON[difficulty], strict=True):
        assert Question("format", difficulty, text, pattern).is_right(answer), text
    for text, schema in QUESTIONS["json"][difficulty]:
        Draft202012Validator.check_schema(schema)
        assert Question("json", difficulty, text, schema).is_right(json.dumps(fitting(schema))), text


def fitting(schema: dict) -> object:
    """A document that a schema of ours accepts."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: fitting(part) for name, part in schema["properties"].items()}
    assert schema["type"] == "array"
    return [f"fruit {index}" for index in range(schema["minItems"])]
