"""add-chats: conversations beside the documents, as the model has them when it is served.

Questions about passages of the documents, each answered by the base model itself and put through its chat template.
That a model's own answers serve to calibrate it: Liu et al., "LLM-QAT" (arXiv:2305.17888).
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList

from pipress.memory import keep_freed_memory
from pipress.recovery.precision import training_dtype
from pipress.spec import Metrics, Report, Spec
from pipress.texts.records import Document, read_records, write_documents
from pipress.texts.rows import CHARACTERS, read_rows, text_of, write_chat_share
from pipress.weights.folder import load_model, load_tokenizer

TOOLS = ("safetensors", "tokenizers", "torch", "transformers")

QUESTIONS = (
    "Summarize this text in a few sentences:\n\n{passage}",
    "What is this text about? Explain it in simple words.\n\n{passage}",
    "Write the next paragraph of this text:\n\n{passage}",
    "Ask three questions that this text answers, and answer them:\n\n{passage}",
    "List the most important facts of this text:\n\n{passage}",
    "{passage}\n\nIs that true? Tell me more about it.",
)
PASSAGE_CHARACTERS = 600
# Of an answer, at most; and answers made side by side: on a GPU more of them take hardly longer.
ANSWER_TOKENS, BATCH = 160, {"cpu": 16, "cuda": 128}
# What an answer and its question have together, to reckon how many it takes.
CHAT_TOKENS = 300
# Evaluation and validation need less: of the tokens for calibration, each.
SMALLER = 0.25


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Leaves the documents with the chats behind them. A model without a chat template gets none."""
    share, tokens = spec.params["share"], spec.params["tokens"]
    datasets, tokenizer = inputs["datasets"], load_tokenizer(inputs["model"])
    if share == 0 or tokenizer.chat_template is None:
        for file in sorted(datasets.glob("*.jsonl")):
            shutil.copyfile(file, out / file.name)
        return {"chats": 0, "chatTokens": 0}
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(inputs["model"], training_dtype(device, spec.checkpoint)).to(device)

    wanted = {"calibration": tokens, "validation": round(tokens * SMALLER), "evaluation": round(tokens * SMALLER)}
    # Passages of one use make chats of that use alone: what is kept apart stays apart.
    questions = {use: ask(datasets, use, max(1, round(size / CHAT_TOKENS))) for use, size in wanted.items()}
    n_all = sum(map(len, questions.values()))
    chats: list[Document] = []
    for use, asked in questions.items():
        kept = spec.checkpoint / f"{use}.jsonl"
        answered = read_records(kept) if kept.exists() else []  # what an earlier run has answered
        for start in range(len(answered), len(asked), BATCH[device.type]):
            batch = asked[start : start + BATCH[device.type]]
            progress = BatchProgress(
                spec.report, f"{use} · chat {start + 1}/{len(asked)}", len(chats) + start, len(batch), n_all
            )
            answered += answer(model, tokenizer, batch, start, progress)
            write_documents(kept, answered)
        write_documents(out / f"{use}.jsonl", [*read_records(datasets / f"{use}.jsonl"), *answered])
        chats += answered
    write_chat_share(out, share)
    ids = tokenizer([chat.text for chat in chats], add_special_tokens=False).input_ids if chats else []
    return {"chats": len(chats), "chatTokens": sum(map(len, ids)), "dtype": str(model.dtype).removeprefix("torch.")}


def ask(datasets: Path, use: str, count: int) -> list[str]:
    """Questions about passages from all over the documents of one use; fewer where these are too short."""
    passages = read_rows(datasets / f"{use}.jsonl", CHARACTERS, PASSAGE_CHARACTERS, count)
    return [
        QUESTIONS[index % len(QUESTIONS)].format(passage=text_of(row, "\n\n").strip())
        for index, row in enumerate(passages)
    ]


class BatchProgress(StoppingCriteria):
    """Reports how far a batch of answers is, at every token of them, and stops none.

    before, n_batch, n_all: chats before the batch, in it, and of all batches.
    """

    def __init__(self, report: Report, message: str, before: int, n_batch: int, n_all: int) -> None:
        self._report, self._message = report, message
        self._before, self._n_batch, self._n_all = before, n_batch, n_all
        self._tokens = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        self._tokens += 1
        done = self._before + self._n_batch * min(1, self._tokens / ANSWER_TOKENS)
        self._report(0.05 + 0.95 * done / self._n_all, f"{self._message}, token {self._tokens}")
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


@torch.no_grad()
def answer(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    questions: list[str],
    seed: int,
    progress: StoppingCriteria,
) -> list[Document]:
    """Each question with the answer that the model draws, as the chat template puts them."""
    prompts = [_templated(tokenizer, [("user", question)], ask=True) for question in questions]
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    batch = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False).to(model.device)
    torch.manual_seed(seed)
    ids = model.generate(
        **batch,
        max_new_tokens=ANSWER_TOKENS,
        do_sample=True,
        pad_token_id=tokenizer.pad_token_id,
        tokenizer=tokenizer,
        stopping_criteria=StoppingCriteriaList([progress]),
    )
    answers = tokenizer.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return [
        Document(_templated(tokenizer, [("user", question), ("assistant", text.strip())]), chat=True)
        for question, text in zip(questions, answers, strict=True)
    ]


def _templated(tokenizer: PreTrainedTokenizerBase, turns: list[tuple[str, str]], ask: bool = False) -> str:
    messages = [{"role": role, "content": content} for role, content in turns]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask)
    # The token that begins every text comes with the rows.
    return text if ask else text.removeprefix(tokenizer.bos_token or "")
