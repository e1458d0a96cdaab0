"""add-chats: conversations as the model has them when it is served, put through its chat template.

Those that the datasets bring; where they bring none, questions about passages of the documents, each answered by the
base model itself. That a model's own answers serve to calibrate it: Liu et al., "LLM-QAT" (arXiv:2305.17888).
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList

from pipress.errors import StageError
from pipress.memory import keep_freed_memory
from pipress.recovery.precision import training_dtype
from pipress.spec import Metrics, Report, Spec
from pipress.texts.conversations import list_problems, unpack_messages
from pipress.texts.records import Document, read_records, write_documents
from pipress.texts.rows import CHARACTERS, read_rows, text_of, write_chat_share
from pipress.weights.folder import begins_texts, load_encoder, load_model, load_tokenizer

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
    wanted = {"calibration": tokens, "validation": round(tokens * SMALLER), "evaluation": round(tokens * SMALLER)}
    records = {use: read_records(datasets / f"{use}.jsonl") for use in wanted}
    brought = {use: [document for document in records[use] if document.chat] for use in wanted}
    if share == 0 or tokenizer.chat_template is None:
        if any(brought.values()):
            raise StageError(
                "the datasets hold conversations, and the base model has no chat template",
                "take an instruct model as base, or text of another format",
            )
        for file in sorted(datasets.glob("*.jsonl")):
            shutil.copyfile(file, out / file.name)
        return {"chats": 0, "chatTokens": 0}

    chats = render(tokenizer, brought, spec.report)
    # Passages of one use make chats of that use alone: what is kept apart stays apart.
    questions = {
        use: ask(datasets, use, max(1, round(wanted[use] / CHAT_TOKENS))) for use in wanted if not brought[use]
    }
    metrics: Metrics = {}
    if questions:
        answered, metrics["dtype"] = answer_all(spec, inputs["model"], tokenizer, questions)
        chats |= answered
    for use in wanted:
        documents = [document for document in records[use] if not document.chat]
        write_documents(out / f"{use}.jsonl", [*documents, *chats[use]])
    write_chat_share(out, share)
    encode = load_encoder(inputs["model"]).encode
    every = [chat.text for use in wanted for chat in chats[use]]
    # A batch at a time: ids of many conversations take more room than their text.
    n_tokens = sum(len(ids) for first in range(0, len(every), 1024) for ids in encode(every[first : first + 1024]))
    return {"chats": len(every), "chatTokens": n_tokens, **metrics}


def render(
    tokenizer: PreTrainedTokenizerBase, brought: dict[str, list[Document]], report: Report
) -> dict[str, list[Document]]:
    """Conversations that the datasets bring, each as the chat template puts it.

    Raises StageError with all that the template refuses: it may know no system prompt, or want roles in turn.
    """
    rendered: dict[str, list[Document]] = {}
    refused: dict[str, list[int]] = {}
    for use, documents in brought.items():
        if documents:
            report(0.01, f"{use} · putting {len(documents)} conversations through the chat template")
        rendered[use] = []
        for document in documents:
            messages, line = unpack_messages(document.text)
            try:
                rendered[use].append(replace(document, text=_templated(tokenizer, messages)))
            except TemplateError as error:
                where = "evaluation" if use == "evaluation" else "calibration"
                refused.setdefault(f"datasets.{where}.{document.source}: {error}", []).append(line)
    if refused:
        raise StageError(
            f"the base model's chat template refuses conversations: {list_problems(refused)}",
            "change them, or take them out: the model was never trained on such",
        )
    return rendered


def answer_all(
    spec: Spec, folder: Path, tokenizer: PreTrainedTokenizerBase, questions: dict[str, list[str]]
) -> tuple[dict[str, list[Document]], str]:
    """Each use's questions with the base model's answers, and the type it computed in."""
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(folder, training_dtype(device, spec.checkpoint)).to(device)
    n_all, before = sum(map(len, questions.values())), 0
    chats: dict[str, list[Document]] = {}
    for use, asked in questions.items():
        kept = spec.checkpoint / f"{use}.jsonl"
        answered = read_records(kept) if kept.exists() else []  # what an earlier run has answered
        for start in range(len(answered), len(asked), BATCH[device.type]):
            batch = asked[start : start + BATCH[device.type]]
            progress = BatchProgress(
                spec.report, f"{use} · chat {start + 1}/{len(asked)}", before + start, len(batch), n_all
            )
            answered += answer(model, tokenizer, batch, start, progress)
            write_documents(kept, answered)
        chats[use] = answered
        before += len(answered)
    return chats, str(model.dtype).removeprefix("torch.")


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
    prompts = [_templated(tokenizer, [_message("user", question)], ask=True) for question in questions]
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
        Document(_templated(tokenizer, [_message("user", question), _message("assistant", text.strip())]), chat=True)
        for question, text in zip(questions, answers, strict=True)
    ]


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _templated(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], ask: bool = False) -> str:
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask)
    # The token that begins every text comes with the rows.
    return text.removeprefix(tokenizer.bos_token) if not ask and begins_texts(tokenizer) else text
