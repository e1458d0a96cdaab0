"""Questions with answers that a program can check, for what a model can still do when it writes by itself.

Perplexity and multiple choice hide lost generation. They are written for this repository, and no recipe calibrates or
trains on them. They lie in a module and not in a data file, so that a change to a question changes the key of every
evaluation.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator

# A small model (135M) answers many of the easy ones, a large one (8B) many of the hard ones.
DIFFICULTIES = ("easy", "medium", "hard")


@dataclass(frozen=True)
class Question:
    """kind: a key of KINDS. expected: what its check compares with; a JSON Schema for `json`, else text."""

    kind: str
    difficulty: str
    text: str
    expected: Any

    def is_right(self, answer: str) -> bool:
        """Whether an answer passes the check of its kind."""
        return KINDS[self.kind].check(answer.strip(), self.expected)


@dataclass(frozen=True)
class Kind:
    """maxTokens: an answer is cut there, far behind the end of a right one. stop: text that ends an answer."""

    check: Callable[[str, Any], bool]
    max_tokens: int
    stop: tuple[str, ...] = ("\n",)


def chosen(per_kind: int) -> list[Question]:
    """The first so many questions of every kind; all where there are fewer."""
    return [question for kind in KINDS for question in islice(_of_kind(kind), per_kind)]


def _of_kind(kind: str) -> Iterator[Question]:
    """Easy, medium, hard, easy again: a part of a kind is as hard as the whole."""
    for pairs in zip(*(QUESTIONS[kind][difficulty] for difficulty in DIFFICULTIES), strict=True):
        for difficulty, (text, expected) in zip(DIFFICULTIES, pairs, strict=True):
            yield Question(kind, difficulty, text, expected)


def _last_number(answer: str, expected: str) -> bool:
    """`7 x 8 = 56.` and `The answer is 1,234` count: the last number is what the answer comes to."""
    numbers = re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"(?<=\d),(?=\d{3}\b)", "", answer))
    return bool(numbers) and float(numbers[-1]) == float(expected)


def _names(answer: str, expected: str) -> bool:
    return re.search(rf"\b(?:{expected})\b", answer, re.IGNORECASE) is not None


def _copies(answer: str, expected: str) -> bool:
    """To the letter; quotation marks around it are none of it."""
    return expected in (answer, answer.strip("\"'`“”‘’").strip())


def _matches(answer: str, expected: str) -> bool:
    """A regular expression, of the whole answer."""
    return re.fullmatch(expected, answer) is not None


def _fits_schema(answer: str, expected: dict[str, Any]) -> bool:
    """The first JSON object or array in it; what a model says around that is none of it."""
    begin = re.search(r"[{\[]", answer)
    try:
        document, _ = json.JSONDecoder().raw_decode(answer, begin.start() if begin else 0)
    except (json.JSONDecodeError, RecursionError):
        return False
    return Draft202012Validator(expected).is_valid(document)


KINDS = {
    "arithmetic": Kind(_last_number, 32),
    "capitals": Kind(_names, 20),
    "copying": Kind(_copies, 48),
    "format": Kind(_matches, 32),
    # A block ends with the fence; what a model explains behind it is not read.
    "json": Kind(_fits_schema, 96, ("\n```",)),
}


def _holds(**values: Any) -> dict[str, Any]:
    """A schema of an object with at least these values."""
    return {
        "type": "object",
        "properties": {name: _exactly(value) for name, value in values.items()},
        "required": [*values],
    }


def _object(**properties: Any) -> dict[str, Any]:
    """A schema of an object with exactly these properties: each a schema, or the very value."""
    parts = {name: part if isinstance(part, dict) else _exactly(part) for name, part in properties.items()}
    return {"type": "object", "properties": parts, "required": [*parts], "additionalProperties": False}


def _exactly(value: Any) -> dict[str, Any]:
    return {"const": value}


# By kind and difficulty: the question, and what is expected.
QUESTIONS: dict[str, dict[str, list[tuple[str, Any]]]] = {
    "arithmetic": {
        "easy": [
            ("What is 3 + 4?", "7"),
            ("What is 9 - 2?", "7"),
            ("What is 5 + 6?", "11"),
            ("What is 2 x 5?", "10"),
            ("What is 10 - 4?", "6"),
            ("What is 8 + 8?", "16"),
        ],
        "medium": [
            ("What is 17 + 26? Answer with the number only.", "43"),
            ("What is 63 - 28? Answer with the number only.", "35"),
            ("What is 7 x 8? Answer with the number only.", "56"),
            ("What is 96 / 4? Answer with the number only.", "24"),
            ("What is 125 + 348? Answer with the number only.", "473"),
            ("What is 12 x 11? Answer with the number only.", "132"),
        ],
        "hard": [
            ("What is 347 x 6? Answer with the number only.", "2082"),
            ("What is (18 + 24) / 6? Answer with the number only.", "7"),
            ("What is 15 percent of 240? Answer with the number only.", "36"),
            ("What is 10000 - 3678? Answer with the number only.", "6322"),
            (
                "A box holds 12 eggs. I buy 7 boxes, and 5 eggs break. How many whole eggs do I have? "
                "Answer with the number only.",
                "79",
            ),
            (
                "A train leaves at 14:35 and arrives at 17:05. How many minutes does it travel? "
                "Answer with the number only.",
                "150",
            ),
        ],
    },
    "capitals": {
        "easy": [
            ("What is the capital of Italy?", "Rome"),
            ("What is the capital of Japan?", "Tokyo"),
            ("What is the capital of Spain?", "Madrid"),
            ("What is the capital of Germany?", "Berlin"),
            ("What is the capital of England?", "London"),
            ("What is the capital of Russia?", "Moscow"),
        ],
        "medium": [
            ("What is the capital of Norway?", "Oslo"),
            ("What is the capital of Canada?", "Ottawa"),
            ("What is the capital of Egypt?", "Cairo"),
            ("What is the capital of Portugal?", "Lisbon"),
            ("What is the capital of Poland?", "Warsaw"),
            ("What is the capital of Kenya?", "Nairobi"),
        ],
        "hard": [
            ("What is the capital of Bhutan?", "Thimphu"),
            ("What is the capital of Burkina Faso?", "Ouagadougou"),
            ("What is the capital of Suriname?", "Paramaribo"),
            ("What is the capital of Moldova?", "Chi[sș]in[aă]u"),
            ("What is the capital of Palau?", "Ngerulmud"),
            ("What is the capital of Kyrgyzstan?", "Bishkek"),
        ],
    },
    "copying": {
        "easy": [
            (
                "Repeat this sentence exactly and say nothing else: The old bridge was closed for repairs.",
                "The old bridge was closed for repairs.",
            ),
            (
                "Repeat this sentence exactly and say nothing else: My sister sold her red car on Friday.",
                "My sister sold her red car on Friday.",
            ),
            (
                "Repeat this sentence exactly and say nothing else: The children played in the garden.",
                "The children played in the garden.",
            ),
            ("Repeat this number and say nothing else: 4821", "4821"),
            ("Repeat this number and say nothing else: 9036", "9036"),
            (
                "Repeat this sentence exactly and say nothing else: We had soup and bread for dinner.",
                "We had soup and bread for dinner.",
            ),
        ],
        "medium": [
            (
                "Repeat this sentence exactly and say nothing else: Seven boats left the harbor before noon.",
                "Seven boats left the harbor before noon.",
            ),
            ("Repeat these numbers exactly and say nothing else: 14 7 92 3 58", "14 7 92 3 58"),
            ("Repeat this line exactly and say nothing else: copper, wool, salt, glass", "copper, wool, salt, glass"),
            ("Repeat this code exactly and say nothing else: KX-4071", "KX-4071"),
            ("Repeat this word and say nothing else: lantern", "lantern"),
            ("Repeat these words exactly and say nothing else: green apple blue door", "green apple blue door"),
        ],
        "hard": [
            ("Repeat this code exactly and say nothing else: q7Zt-09xB-kL3w-Vv58", "q7Zt-09xB-kL3w-Vv58"),
            (
                "Repeat this line exactly and say nothing else: 3.1907, -0.446, 72.05, 8.8881, -19.3",
                "3.1907, -0.446, 72.05, 8.8881, -19.3",
            ),
            (
                "Repeat this sentence exactly, with its mistakes, and say nothing else: "
                "Teh wether iz realy nise todday, isnt it.",
                "Teh wether iz realy nise todday, isnt it.",
            ),
            (
                "Repeat this line exactly and say nothing else: dax wug fep blick toma zib kiki norg",
                "dax wug fep blick toma zib kiki norg",
            ),
            (
                "Repeat this path exactly and say nothing else: /srv/a1/b_2/C-3/data.v4.tar.gz",
                "/srv/a1/b_2/C-3/data.v4.tar.gz",
            ),
            (
                "Repeat this line exactly and say nothing else: tHe QuIcK bRoWn FoX jUmPs",
                "tHe QuIcK bRoWn FoX jUmPs",
            ),
        ],
    },
    "format": {
        "easy": [
            ("Is ice cold? Begin your answer with yes or no.", r"[Yy]es\b.*"),
            ("Is the sun a fruit? Begin your answer with yes or no.", r"[Nn]o\b.*"),
            ("Ask me one question about my day. Write only the question.", r"[A-Z].*\?"),
            ("Count from 1 to 5 on one line.", r".*\b1, ?2, ?3, ?4,? ?(?:and )?5\b.*"),
            ("Begin your answer with the words My favorite color is.", r"My favorite color is .+"),
            ("Write the word cat in capital letters.", r".*\bCAT\b.*"),
        ],
        "medium": [
            (
                "Name three colors, on one line, separated by commas. Write nothing else.",
                r"\w+, ?\w+,(?: and)? ?\w+\.?",
            ),
            ("Write the date March 5, 2021 in the form YYYY-MM-DD. Write nothing else.", r"2021-03-05\.?"),
            ("Count from 1 to 6 with a hyphen between the numbers, like 1-2. Write nothing else.", r"1-2-3-4-5-6\.?"),
            ("Which is larger, 12 or 21? Answer in the form [answer: N].", r"\[answer: 21\]\.?"),
            ("Name a fruit in capital letters between two asterisks, like *NAME*. Write nothing else.", r"\*[A-Z]+\*"),
            ("Write the letters a to e, separated by single spaces. Write nothing else.", r"a b c d e\.?"),
        ],
        "hard": [
            (
                "Write the words sun, moon, star in reverse order, in square brackets, separated by semicolons without "
                "spaces. Write nothing else.",
                r"\[star;moon;sun\]",
            ),
            (
                "Write one line of CSV without spaces around the commas, with the columns name, age, city: "
                "Maria is 36 years old and lives in Lima. Write nothing else.",
                r"Maria,36,Lima",
            ),
            (
                "Write the even numbers from 12 down to 2, separated by ' > '. Write nothing else.",
                r"12 > 10 > 8 > 6 > 4 > 2",
            ),
            (
                "Describe winter with exactly four words, all in capital letters. Write nothing else.",
                r"(?:[A-Z]+,? ){3}[A-Z]+\.?",
            ),
            ("Write 2:05 pm in 24-hour time as HH:MM, between round brackets. Write nothing else.", r"\(14:05\)"),
            (
                "Write a Markdown table row with the three cells iron, Fe and 26, with one space on each side of every "
                "cell. Write nothing else.",
                r"\| iron \| Fe \| 26 \|",
            ),
        ],
    },
    "json": {
        "easy": [
            ('Write a JSON object with the key "city" and the value "Oslo".', _holds(city="Oslo")),
            ('Write a JSON object with the key "color" and the value "green".', _holds(color="green")),
            ('Write a JSON object with the key "age" and the value 42.', _holds(age=42)),
            ('Write a JSON object with the key "name" and the value "Anna".', _holds(name="Anna")),
            ('Write a JSON object with the key "open" and the value true.', _holds(open=True)),
            ('Write a JSON object with the key "animal" and the value "bird".', _holds(animal="bird")),
        ],
        "medium": [
            (
                'Answer with JSON only: an object with the keys "name" (text) and "age" (number). '
                "Peter is 31 years old.",
                _object(name="Peter", age=31),
            ),
            (
                'Answer with JSON only: an object with the keys "product" (text) and "price" (number). '
                "The lamp costs 24.50 dollars.",
                _object(product={"enum": ["lamp", "Lamp", "the lamp", "The lamp"]}, price=24.5),
            ),
            (
                "Answer with JSON only: an array of the numbers 3, 6 and 9.",
                _exactly([3, 6, 9]),
            ),
            (
                'Answer with JSON only: an object with the key "fruits", an array of exactly three names of fruits.',
                _object(
                    fruits={
                        "type": "array",
                        "items": {"type": "string", "minLength": 3},
                        "minItems": 3,
                        "maxItems": 3,
                        "uniqueItems": True,
                    }
                ),
            ),
            (
                'Answer with JSON only: an object with the keys "from" and "to". The bus goes from Lyon to Nice.',
                _object(**{"from": "Lyon", "to": "Nice"}),
            ),
            (
                'Answer with JSON only: an object with the keys "day" (text) and "rain" (true or false). '
                "On Monday it does not rain.",
                _object(day="Monday", rain=False),
            ),
        ],
        "hard": [
            (
                'Answer with JSON only: an object with the key "people", an array of objects with the keys "name" and '
                '"age". Ada is 36, Ben is 9, and Cleo is twice as old as Ben.',
                _object(
                    people=_exactly(
                        [{"name": "Ada", "age": 36}, {"name": "Ben", "age": 9}, {"name": "Cleo", "age": 18}]
                    )
                ),
            ),
            (
                'Answer with JSON only: an object with the keys "sender", "receiver" and "parcel"; "parcel" is an '
                'object with the keys "kilograms" (number) and "fragile" (true or false). '
                "Mia sends Leo a fragile parcel of 2500 grams.",
                _object(sender="Mia", receiver="Leo", parcel=_object(kilograms=2.5, fragile=True)),
            ),
            (
                'Answer with JSON only: an object with the key "matrix", the 3 by 3 identity matrix as a list of rows.',
                _object(matrix=_exactly([[1, 0, 0], [0, 1, 0], [0, 0, 1]])),
            ),
            (
                'Answer with JSON only: an object with the keys "title", "year" and "author". Use null for what the '
                "text does not tell. The book Stone Rivers appeared in 1987.",
                _object(title="Stone Rivers", year=1987, author=None),
            ),
            (
                "Answer with JSON only: an object whose keys are the words pear, fig and plum, in this order, and "
                "whose values are the numbers of letters of each word.",
                _object(pear=4, fig=3, plum=4),
            ),
            (
                'Answer with JSON only: an array of three objects with the keys "n" and "square", for n from 4 to 6.',
                _exactly([{"n": 4, "square": 16}, {"n": 5, "square": 25}, {"n": 6, "square": 36}]),
            ),
        ],
    },
}
