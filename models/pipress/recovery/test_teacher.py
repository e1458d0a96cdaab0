"""The teacher's states in a file: every number where it belongs, and after a kill the same ones."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pipress.recovery import teacher as module
from pipress.recovery.teacher import FILE, teacher_states

IDS = torch.randint(0, 40, (7, 8), generator=torch.Generator().manual_seed(1))
ROW = 8 * 16 * 4


@pytest.fixture
def teacher() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=40)).eval()


@pytest.mark.parametrize(
    ("tokens", "shares"),
    [(16, [2 / 7, 4 / 7, 6 / 7, 1]), (31, [3 / 7, 6 / 7, 1]), (1, [n / 7 for n in range(1, 8)]), (1000, [1])],
)
def test_sequences_are_computed_as_many_at_a_time_as_fit(
    tokens: int, shares: list[float], teacher: LlamaForCausalLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_TOKENS", tokens)
    reported: list[float] = []
    grads: list[bool] = []
    teacher.model.register_forward_pre_hook(lambda *_: grads.append(torch.is_grad_enabled()))
    states = teacher_states(teacher, IDS, tmp_path, reported.append)
    assert not any(grads), "nothing is kept for a backward pass"
    assert reported == pytest.approx(shares) and states.shape == (7, 8, 16)
    assert not states.requires_grad and (tmp_path / FILE).stat().st_size == 7 * ROW
    torch.testing.assert_close(states, teacher.model(IDS).last_hidden_state.detach())


@pytest.mark.parametrize("left", [0, 1, ROW - 1, ROW, 2 * ROW, 3 * ROW + 5, 4 * ROW, 6 * ROW, 7 * ROW - 1])
def test_a_killed_pass_goes_on_after_its_last_whole_batch(
    left: int, teacher: LlamaForCausalLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_TOKENS", 16)
    whole = teacher_states(teacher, IDS, tmp_path, lambda share: None).clone()
    with open(tmp_path / FILE, "r+b") as file:
        file.truncate(left)
    computed: list[int] = []
    hook = teacher.model.register_forward_pre_hook(
        lambda _, given, named: computed.append(len(given[0])), with_kwargs=True
    )
    assert torch.equal(teacher_states(teacher, IDS, tmp_path, lambda share: None), whole)
    hook.remove()
    assert sum(computed) == 7 - left // (2 * ROW) * 2


def test_what_is_whole_is_not_computed_again_also_where_the_file_is_longer(
    teacher: LlamaForCausalLM, tmp_path: Path
) -> None:
    whole = teacher_states(teacher, IDS, tmp_path, lambda share: None).clone()
    with open(tmp_path / FILE, "ab") as file:
        file.write(b"more")
    reported: list[float] = []
    assert torch.equal(teacher_states(teacher, IDS, tmp_path, reported.append), whole) and reported == []


def test_every_batch_is_on_the_disk_before_it_is_reported(
    teacher: LlamaForCausalLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_TOKENS", 16)
    events: list[object] = []
    monkeypatch.setattr(module.os, "fsync", lambda number: events.append((tmp_path / FILE).stat().st_size // ROW))
    teacher_states(teacher, IDS, tmp_path, lambda share: events.append("reported"))
    assert events == [2, "reported", 4, "reported", 6, "reported", 7, "reported"]


def test_a_teacher_of_half_the_bytes_is_kept_in_its_type(teacher: LlamaForCausalLM, tmp_path: Path) -> None:
    states = teacher_states(teacher.bfloat16(), IDS, tmp_path, lambda share: None)
    assert states.dtype == torch.bfloat16 and (tmp_path / FILE).stat().st_size == 7 * ROW // 2
