"""How llama.cpp cuts text into tokens: recorded of a base model, compared with all that is made of it.

Every weight was trained on the token ids of the base model. A tokenizer that lost its scores, its merges or a special
token loads all the same and gives other ids, and the model answers worse; perplexity and divergence show nothing of it,
because every model is measured on the reference's tokens.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from pipress.atomic import read_json, write_json
from pipress.errors import StageError
from pipress.programs import run_program
from pipress.texts.rows import ENDS_OF_TEXT, Encoder

# Beside a model folder's weights: texts, and the ids that llama.cpp made of them when the base model was fetched.
RECORD = "token-ids.json"
CHANGED = "the tokenizer was changed on the way: look at the stages before this one"

# What tokenizers differ in: spaces, lines, numbers, contractions, case, code, other scripts, emoji, odd characters.
TEXTS = (
    "The capital of France is Paris, and its river is the Seine.",
    "Uncharacteristically, antidisestablishmentarianism outlived electroencephalography's pseudoscientific critics.",
    " leading, trailing and   several    spaces  ",
    "tabs\tand\t\tmore\nlines\n\nparagraphs\n\n\n  indented\r\nwindows\r\n",
    "3 33 333 3333 33333 1,234,567.89 0x7f 1e-05 2026-11-29 12:34:56 ½ ² ①",
    "I'm sure they'll say we've won; it's Bob's, isn't it? I'D'VE DONE IT. 'Quoted' \"twice\" `thrice`",
    "CamelCase snake_case kebab-case UPPER lower tItLe e.g. U.S.A. Ph.D. a/b c\\d e@f.org https://g.h/i?j=k&l=m#n",
    "def f(x: int) -> str:\n    return {'a': [x**2, x // 3], \"b\": None}  # comment\n\nfor (int i=0;i<n;++i) { }",
    "Grüße aus Köln: Straße, Äpfel, naïve café, Ångström, Łódź, İstanbul, ﬁancé",
    "Привет, мир! Γειά σου κόσμε. שלום עולם. مرحبا بالعالم. नमस्ते दुनिया. สวัสดีชาวโลก",
    "我想在苹果工作1314151天。東京でコーヒーを飲みました。안녕하세요 세계",
    "😀👍🏽👨‍👩‍👧‍👦🇩🇪 ✅ → ∑∫√≠ ™ “curly” ‘quotes’ – — … \u00a0\u200b\u2003",
    "?!…!!!???---===***~~~(((]]]}}}<<<>>>|||&&&%%%$$$###@@@^^^",
)


@dataclass(frozen=True)
class Vocabulary:
    """What llama-server makes of a model's vocabulary.

    ids: of each text, what comes before the text itself included. ends: tokens that end an answer. prompt: a question
    as the chat template puts it; where llama-server would not start with the template, `problem` says why.
    """

    ids: list[list[int]]
    ends: list[int]
    prompt: str
    problem: str


def read_vocabulary(llama_cpp_bin: Path, model: Path, texts: Sequence[str] = (), question: str = "") -> Vocabulary:
    """Reads a GGUF, weights or not. Raises StageError where llama.cpp does not load its vocabulary."""
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as answer:
        asked.write(json.dumps(list(texts)).encode())
        asked.seek(0)
        run_program([llama_cpp_bin / "pipress-vocabulary", model, question], stdin=asked, stdout=answer)
        answer.seek(0)
        document = json.load(answer)
    return Vocabulary(document["ids"], document["ends"], document.get("prompt", ""), document.get("problem", ""))


def llama_encoder(llama_cpp_bin: Path, model: Path) -> Encoder:
    """llama.cpp's own tokenizer of a GGUF, for rows of token ids."""
    before, ends = _marks(llama_cpp_bin, model)

    def encode(texts: list[str]) -> list[list[int]]:
        return [ids[len(before) :] for ids in read_vocabulary(llama_cpp_bin, model, texts).ids]

    return Encoder(encode, next(iter(before), None), next(iter(ends.values()), None))


def end_of_text(llama_cpp_bin: Path, model: Path) -> str:
    """The token that ends a document for this model, as it is written; empty where none of those known is a token."""
    _, ends = _marks(llama_cpp_bin, model)
    return next(iter(ends), "")


def _marks(llama_cpp_bin: Path, model: Path) -> tuple[list[int], dict[str, int]]:
    """Ids that come before every text, and those of ENDS_OF_TEXT that are tokens, by name and in that order."""
    before, *named = read_vocabulary(llama_cpp_bin, model, ["", *ENDS_OF_TEXT]).ids
    # A name that is no token of its own is cut into several.
    whole = zip(ENDS_OF_TEXT, named, strict=True)
    return before, {name: ids[-1] for name, ids in whole if len(ids) == len(before) + 1}


def write_record(texts: Sequence[str], vocabulary: Vocabulary, folder: Path) -> None:
    """Puts a base model's token ids into its folder, from where they go along with all that is made of it."""
    pairs = [{"text": text, "ids": ids} for text, ids in zip(texts, vocabulary.ids, strict=True)]
    write_json(folder / RECORD, {"texts": pairs, "ends": vocabulary.ends})


def check_tokens(llama_cpp_bin: Path, model: Path, folder: Path) -> None:
    """Raises StageError unless a GGUF makes of text what the base model did, by the record in the folder it is from."""
    record = read_json(folder / RECORD)
    if record is None:
        raise StageError(f"the model holds no {RECORD}, the token ids of its base", "fetch the base model again")
    wanted = {pair["text"]: pair["ids"] for pair in record["texts"]}
    vocabulary = read_vocabulary(llama_cpp_bin, model, [*wanted])
    if difference := first_difference(wanted, dict(zip(wanted, vocabulary.ids, strict=True))):
        raise StageError(f"{model.name} cuts text into other tokens than its base model: {difference}", CHANGED)
    if vocabulary.ends != record["ends"]:
        raise StageError(
            f"{model.name} ends its answers with the tokens {vocabulary.ends}, its base model with {record['ends']}",
            CHANGED,
        )


def first_difference(wanted: Mapping[str, list[int]], actual: Mapping[str, list[int]]) -> str:
    """Where the ids of a text first differ, as a message says it; empty where those of all texts are the same."""
    for text, ids in wanted.items():
        if ids != actual[text]:
            pairs = enumerate(zip_longest(ids, actual[text]))
            at = next(index for index, (one, other) in pairs if one != other)
            return f"token {at + 1} of {text[:40]!r} is {_named(actual[text], at)}, not {_named(ids, at)}"
    return ""


def _named(ids: list[int], at: int) -> str:
    return str(ids[at]) if at < len(ids) else "missing"
