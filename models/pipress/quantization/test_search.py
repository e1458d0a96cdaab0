"""The search, on a model whose divergence is known for every mix, against trying all of them."""

import dataclasses
import json
import math
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipress.errors import StageError
from pipress.evaluation.scores import Estimate, Scores
from pipress.quantization import search as module
from pipress.quantization.conftest import SHAPES
from pipress.quantization.search import CONTEXT, DECIDING_ROWS, PROBE_ROWS, Search, SearchResult
from pipress.quantization.source_model import Mix, SourceModel
from pipress.quantization.types import bits_per_weight, fits

KINDS = ["F16", "Q8_0", "Q5_0", "Q4_0"]
ROWS = np.arange((PROBE_ROWS + DECIDING_ROWS) * CONTEXT).reshape(-1, CONTEXT)
GROUPS = {
    "token_embd": 0.5,
    "attn_q 1/3": 1.0,
    "attn_q 2/3": 0.1,
    "attn_q 3/3": 0.3,
    "ffn_down 1/3": 4.0,
    "ffn_down 2/3": 0.2,
    "ffn_down 3/3": 2.0,
}
GROUP_OF = dict(
    zip(SHAPES, ("token_embd", *(f"{k} {n}/3" for n in (1, 2, 3) for k in ("attn_q", "ffn_down"))), strict=True)
)
QUIET = 0.00001


class Known:
    """Stands for llama-quantize and pipress-score: no real model's divergence is known for every mix.

    A tensor's loss falls with its bits; a mix diverges by the sum of its tensors' losses, each times what its group
    costs, unless it is listed in `exceptions`.
    """

    def __init__(self) -> None:
        self.costs = dict(GROUPS)
        self.exceptions: list[tuple[Mix, float]] = []
        self.standards: dict[str, Mix] = {}
        self.measured: list[tuple[Mix, np.ndarray]] = []
        self.references: list[np.ndarray] = []
        self.made: list[str] = []
        self.reports: list[tuple[float, str]] = []

    def loss(self, name: str, kind: str) -> float:
        return 0.0 if kind == "F16" else (1 + len(name) / 50) * 4.0 ** -bits_per_weight(kind)

    def divergence(self, mix: Mix) -> float:
        for listed, kld in self.exceptions:
            if listed == mix:
                return kld
        return QUIET + sum(self.costs[GROUP_OF[name]] * self.loss(name, kind) for name, kind in mix.items())


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    known = Known()

    class Candidates:
        def __init__(self, bin_: Path, source: SourceModel, imatrix: Path, folder: Path) -> None:
            self.source = source
            self.losses: dict[str, dict[str, float]] = {"F16": dict.fromkeys(SHAPES, 0.0)}
            folder.mkdir(parents=True, exist_ok=True)

        def kinds_for(self, name: str, kinds: list[str]) -> list[str]:
            return [kind for kind in kinds if fits(kind, name, SHAPES[name][1])]

        def make(self, kind: str, on_tensor: Callable[[int, int], None]) -> None:
            on_tensor(1, 2)
            known.made.append(kind)
            self.losses[kind] = {name: known.loss(name, kind) for name in SHAPES if self.kinds_for(name, [kind])}

        def assemble(self, mix: Mix, target: Path) -> None:
            assert all(name in self.losses[kind] for name, kind in mix.items()), "every type of a mix is made"
            target.write_text(json.dumps(mix))

    def against(bin_: Path, model: Path, rows: np.ndarray, logits: Path, on_row: Callable[[int], None]) -> Scores:
        assert logits.read_bytes() == rows.tobytes(), "a reference is of the rows that are measured"
        mix = json.loads(model.read_text())
        assert set(mix) == set(SHAPES)
        known.measured.append((mix, rows))
        on_row(1)
        divergence = np.array([[known.divergence(mix)]])
        return Scores(np.ones_like(divergence), divergence, np.ones_like(divergence))

    def reference(bin_: Path, model: Path, rows: np.ndarray, logits: Path, on_row: Callable[[int], None]) -> None:
        known.references.append(rows)
        logits.write_bytes(rows.tobytes())
        assert logits.suffix == ".part", "a killed run leaves no reference that looks whole"
        on_row(1)

    monkeypatch.setattr(module, "Candidates", Candidates)
    monkeypatch.setattr(module, "score_against", against)
    monkeypatch.setattr(module, "mean_of_rows", lambda values: Estimate(float(values[0, 0]), 0.0001))
    monkeypatch.setattr(module, "score_reference", reference)
    monkeypatch.setattr(module, "planned_types", lambda bin_, path, name, imatrix: known.standards.get(name))
    return known


@pytest.fixture
def begin(known: Known, make_spec: Any, small_gguf: Callable[..., Path], matrix: Path) -> Callable[..., Search]:
    """Begins a search, or goes on with the one before."""
    path = small_gguf()

    def begin(kinds: list[str] | None = KINDS) -> Search:
        spec = make_spec("quantize")
        spec = dataclasses.replace(spec, report=lambda done, message, eta=None: known.reports.append((done, message)))
        return Search(spec, SourceModel(path, matrix), matrix, ROWS, kinds)

    return begin


def all_mixes(search: Search, kinds: list[str]) -> list[tuple[int, Mix]]:
    """Every mix there is with its file's size."""
    options = [
        [(kind, search.source.padded_bytes(name, kind)) for kind in search.candidates.kinds_for(name, kinds)]
        for name in SHAPES
    ]
    beside = search.source.fixed_bytes
    return [
        (beside + sum(size for _, size in mix), {name: kind for name, (kind, _) in zip(SHAPES, mix, strict=True)})
        for mix in product(*options)
    ]


def average_bits(search: Search, budget: int) -> float:
    return 8 * budget / sum(math.prod(shape) for shape in SHAPES.values())


def check_result(result: SearchResult, search: Search, known: Known) -> None:
    """What is true of every result."""
    assert result.kld == known.divergence(result.mix) and result.kld_error == 0.0001
    assert result.measurements == len(known.measured) == len({json.dumps([m, len(r)]) for m, r in known.measured})
    assert search.costs == result.costs


@pytest.mark.parametrize("share", [0.3, 0.35, 0.45, 0.6, 1.0])
def test_the_mix_under_a_budget_is_nearly_the_best_of_all(
    share: float, begin: Callable[..., Search], known: Known
) -> None:
    search = begin()
    budget = int(share * search.source.file_bytes({}))
    result = search.under_bytes(budget)
    check_result(result, search, known)
    best = min(known.divergence(mix) for size, mix in all_mixes(search, KINDS) if size <= budget)
    assert search.source.file_bytes(result.mix) <= budget
    assert best <= result.kld <= 1.5 * best + 1e-6
    assert (result.standard, result.rival, result.rival_kld) == (None, None, None)


def test_what_a_group_costs_is_what_its_coarse_types_add_to_a_model_left_almost_exact(
    begin: Callable[..., Search], known: Known
) -> None:
    search = begin()
    search.under_bytes(search.source.file_bytes(dict.fromkeys(SHAPES, "Q5_0")))
    assert search.costs == pytest.approx(GROUPS, rel=1e-6)
    probes = [mix for mix, rows in known.measured if len(rows) == PROBE_ROWS]
    assert probes[0] == dict.fromkeys(SHAPES, "Q8_0") and len(probes) == 1 + len(GROUPS)
    for probe, group in zip(probes[1:], dict.fromkeys(GROUP_OF.values()), strict=True):
        # The smallest type of at least 0.7 times the average: 5.5 bits and some for the header.
        coarse = {name: "Q4_0" if GROUP_OF[name] == group else "Q8_0" for name in SHAPES}
        assert probe == coarse


def test_where_only_one_type_is_coarser_than_the_model_bytes_are_spent_on_what_loses_most(
    begin: Callable[..., Search], known: Known
) -> None:
    search = begin(["F16", "Q8_0"])
    budget = search.source.file_bytes({}) - 20_000
    result = search.under_bytes(budget)
    assert set(search.costs.values()) == {1.0} and set(result.mix.values()) == {"F16", "Q8_0"}
    best = min(
        sum(known.loss(*pair) for pair in mix.items()) for size, mix in all_mixes(search, KINDS) if size <= budget
    )
    assert sum(known.loss(*pair) for pair in result.mix.items()) <= 1.05 * best


def test_a_group_without_a_coarser_type_costs_what_the_others_do(begin: Callable[..., Search], known: Known) -> None:
    search = begin(["F16", "Q8_0", "Q4_K"])
    search.under_bytes(search.source.file_bytes({}) // 2)
    feed_forward = {group: cost for group, cost in GROUPS.items() if group.startswith("ffn_down")}
    usual = sum(feed_forward.values()) / 3
    assert search.costs == pytest.approx({group: feed_forward.get(group, usual) for group in GROUPS}, rel=1e-6)


def test_a_group_lost_in_noise_costs_a_twentieth_of_the_mean(begin: Callable[..., Search], known: Known) -> None:
    known.costs["attn_q 2/3"], known.costs["ffn_down 2/3"] = 0.0, -1.0
    search = begin()
    search.under_bytes(search.source.file_bytes(dict.fromkeys(SHAPES, "Q5_0")))
    noise = {group: known.loss(name, "Q4_0") - known.loss(name, "Q8_0") for name, group in GROUP_OF.items()}
    raised = [max(0, known.costs[group]) * noise[group] for group in noise]
    for group, cost in search.costs.items():
        least = 0.05 * sum(raised) / len(raised) / noise[group]
        assert cost == pytest.approx(max(known.costs[group], least), rel=1e-6)


def test_both_texts_are_held_apart_and_each_has_its_reference_once(begin: Callable[..., Search], known: Known) -> None:
    search = begin()
    search.under_bytes(search.source.file_bytes({}) // 2)
    begin().under_bytes(search.source.file_bytes({}) // 3)
    probes, deciding = known.references
    assert (len(probes), len(deciding)) == (PROBE_ROWS, DECIDING_ROWS)
    assert sorted(np.concatenate([probes, deciding])[:, 0].tolist()) == ROWS[:, 0].tolist()
    # Both come from all over the text.
    for part in (probes, deciding):
        assert part[0, 0] <= ROWS[1, 0] and part[-1, 0] >= ROWS[-5, 0]
    for _, rows in known.measured:
        assert np.array_equal(rows, probes if len(rows) == PROBE_ROWS else deciding)


@pytest.mark.parametrize("how", ["under_bytes", "under_kld"])
def test_a_search_that_was_killed_measures_nothing_twice(
    how: str, begin: Callable[..., Search], known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> SearchResult:
        search = begin()
        return getattr(search, how)(search.source.file_bytes({}) // 2 if how == "under_bytes" else 0.01)

    known.standards = {"Q4_0": dict.fromkeys(SHAPES, "Q4_0"), "Q5_0": dict.fromkeys(SHAPES, "Q5_0")}
    whole = run()
    count = len(known.measured)
    again = run()
    assert again == whole and len(known.measured) == count
    for file in (begin().folder).glob("*.json"):
        file.unlink()
    known.measured.clear()
    measure = module.score_against

    def killed(*given: Any) -> Scores:
        if len(known.measured) == 3:
            raise KeyboardInterrupt
        return measure(*given)

    monkeypatch.setattr(module, "score_against", killed)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.setattr(module, "score_against", measure)
    assert run() == whole and len(known.measured) == count


def test_progress_never_falls_and_ends_where_the_writing_begins(begin: Callable[..., Search], known: Known) -> None:
    search = begin()
    search.under_bytes(search.source.file_bytes({}) // 2)
    shares = [share for share, _ in known.reports]
    assert 0 <= min(shares) < 0.2 and 0.65 <= max(shares) <= 0.9
    making = [share for share, message in known.reports if message.startswith("tensors as")]
    assert making == sorted(making) and 0 < making[0] < making[-1] <= 0.35
    probing = [share for share, message in known.reports if "coarse" in message]
    assert probing == sorted(probing) and 0.35 < probing[0] < probing[-1] < 0.65
    deciding = [share for share, message in known.reports if "its own" in message]
    assert deciding and all(0.65 <= share <= 0.9 for share in deciding)


def test_a_budget_below_the_smallest_mix_is_refused_with_that_size(begin: Callable[..., Search], known: Known) -> None:
    search = begin()
    smallest = min(size for size, _ in all_mixes(search, KINDS))
    with pytest.raises(StageError, match=f"smallest reachable is {smallest:,} bytes"):
        search.under_bytes(smallest - 1)
    assert known.measured == [], "before anything is measured"
    result = begin().under_bytes(smallest)
    assert search.source.file_bytes(result.mix) == smallest


def test_a_standard_type_that_is_better_is_taken_with_what_it_leaves_of_the_budget_spent(
    begin: Callable[..., Search], known: Known
) -> None:
    search = begin()
    plain = {name: "Q5_0" if "attn" in name else "Q4_0" for name in SHAPES}
    budget = search.source.file_bytes(plain)
    known.standards = {"Q4_K_M": plain}
    known.exceptions = [(plain, QUIET / 2)]
    exact = search.under_bytes(budget)
    check_result(exact, search, known)
    assert exact.mix == plain and exact.standard == exact.file_type == exact.rival == "Q4_K_M"
    assert exact.rival_kld == exact.kld == QUIET / 2

    # With room for one more step, the standard type made better by it is the result where it measures so.
    search = begin()
    more = search.under_bytes(budget + 9000)
    assert more.standard == "Q4_K_M" and more.mix == plain
    raised = [mix for mix, rows in known.measured if len(rows) == DECIDING_ROWS and mix != plain]
    improved = [mix for mix in raised if all(bits_per_weight(mix[n]) >= bits_per_weight(plain[n]) for n in plain)]
    assert improved, "tried, and no better here"
    known.exceptions.append((improved[-1], QUIET / 4))
    for file in search.folder.glob("measured.json"):
        file.unlink()
    known.measured.clear()
    best = begin().under_bytes(budget + 9000)
    assert best.mix == improved[-1] and best.standard is None
    assert (best.rival, best.rival_kld, best.kld) == ("Q4_K_M", QUIET / 2, QUIET / 4)
    assert search.source.file_bytes(best.mix) <= budget + 9000


def test_of_the_standard_types_the_most_promising_of_the_nearest_in_size_are_measured(
    begin: Callable[..., Search], known: Known
) -> None:
    names = list(SHAPES)
    search = begin()
    large = dict.fromkeys(SHAPES, "Q8_0")
    # The more tensors are small, the smaller the file; the fourth is a poor one for its size.
    mixes = [{**large, **dict.fromkeys(names[:n], "Q4_0")} for n in range(8)]
    known.standards = {
        "Q6_K": large,
        "Q5_K_M": mixes[1],
        "Q5_K_S": mixes[1],  # the same again
        "Q5_0": mixes[2],
        "Q4_K_M": mixes[3],
        "Q4_K_S": mixes[4],
        "Q4_1": mixes[5],
        "IQ4_NL": mixes[6],
        "Q4_0": mixes[7],
        "Q3_K_M": {**large, "blk.0.ffn_down.weight": "Q3_K"},  # a type that is not allowed
    }
    budget = search.source.file_bytes(mixes[1])
    search.under_bytes(budget)
    standards = search._standards(budget)
    nearest = sorted(mixes[1:], key=search.source.file_bytes, reverse=True)[:6]
    promising = sorted(nearest, key=lambda mix: known.divergence(mix))[:3]
    assert list(standards.values()) == promising
    assert "Q5_K_S" not in standards and "Q6_K" not in standards and "Q3_K_M" not in standards


def test_types_of_a_standard_mix_are_made_where_the_search_did_not_want_them(
    begin: Callable[..., Search], known: Known
) -> None:
    known.standards = {"Q4_0": {"blk.0.attn_q.weight": "Q4_1"}}  # what it does not name stays as it is
    search = begin(["F16", "Q8_0", "Q4_1"])
    search._prepare(["F16", "Q8_0"], 8.5)
    assert search._standards(10**9) == {"Q4_0": {**dict.fromkeys(SHAPES, "F16"), "blk.0.attn_q.weight": "Q4_1"}}
    assert known.made == ["Q8_0", "Q4_1"]
    assert max(share for share, _ in known.reports) <= 0.65, "deciding is still to come"


@pytest.mark.parametrize("limit", [0.0015, 0.003, 0.01, 0.02])
def test_the_file_for_a_limit_in_nats_is_nearly_the_smallest_of_all(
    limit: float, begin: Callable[..., Search], known: Known
) -> None:
    search = begin()
    result = search.under_kld(limit)
    check_result(result, search, known)
    smallest = min(size for size, mix in all_mixes(search, KINDS) if known.divergence(mix) <= limit)
    assert result.kld <= limit and search.source.file_bytes(result.mix) <= 1.06 * smallest


def test_of_what_was_tried_the_smallest_within_the_limit_is_the_result(
    begin: Callable[..., Search], known: Known
) -> None:
    """The model of costs is far off here: what it proposes next is larger, too coarse, smaller, larger again."""
    search, goals = begin(), list[float]()
    exact, middle, coarse = (dict.fromkeys(SHAPES, kind) for kind in ("Q8_0", "Q5_0", "Q4_0"))
    small = {**coarse, "blk.0.ffn_down.weight": "Q5_0"}
    known.exceptions = [(exact, 0.001), (middle, 0.004), (coarse, 0.1), (small, 0.005)]
    proposed = iter([middle, exact, coarse, small, middle, small])
    search._cheapest = lambda goal: goals.append(goal) or next(proposed)  # type: ignore[method-assign,func-returns-value]
    assert search.under_kld(0.01).mix == small
    # Each goal follows from the last measurement, by a factor of ten at most.
    steps = [later / earlier for earlier, later in pairwise(goals)]
    assert steps == pytest.approx([0.975 / 0.4, 9.75, 0.0975, 0.975 / 0.5], rel=1e-3) and goals[0] == 0.01
    # A measurement close below the limit ends it.
    known.exceptions = [(middle, 0.0096)]
    search.measured.clear(), goals.clear()
    proposed = iter([middle, exact])
    assert search.under_kld(0.01).mix == middle and len(goals) == 1


@pytest.mark.parametrize("factor", [0.2, 4.0])
def test_costs_that_are_off_by_some_factor_are_found_out_by_measuring(
    factor: float, begin: Callable[..., Search], known: Known
) -> None:
    """On the text that decides everything costs more, or less, than on that of the probes."""
    search = begin()
    divergence = known.divergence
    search._prepare(KINDS, 4.5)
    known.divergence = lambda mix: factor * (divergence(mix) - QUIET) + QUIET  # type: ignore[method-assign]
    search.measured.clear()
    costs = dict(search.costs)
    search._prepare = lambda *_: None  # type: ignore[method-assign]
    result = search.under_kld(0.01)
    assert search.costs == costs
    smallest = min(size for size, mix in all_mixes(search, KINDS) if known.divergence(mix) <= 0.01)
    assert result.kld <= 0.01 and search.source.file_bytes(result.mix) <= 1.1 * smallest


def test_a_limit_that_no_mix_reaches_is_refused_with_the_best_that_is_reached(
    begin: Callable[..., Search], known: Known
) -> None:
    search = begin(["Q8_0", "Q4_0"])
    best = known.divergence(dict.fromkeys(SHAPES, "Q8_0"))
    with pytest.raises(StageError, match=f"best reachable is {best:.3g}"):
        search.under_kld(0.9 * best)
    assert begin(["Q8_0", "Q4_0"]).under_kld(best).mix == dict.fromkeys(SHAPES, "Q8_0")


def test_a_smaller_standard_type_within_the_limit_is_the_result(begin: Callable[..., Search], known: Known) -> None:
    small, middle = dict.fromkeys(SHAPES, "Q4_0"), {**dict.fromkeys(SHAPES, "Q4_0"), "token_embd.weight": "Q5_0"}
    known.standards = {"Q4_K_M": middle, "Q4_0": small}
    known.exceptions = [(small, 0.0019), (middle, 0.0018)]
    result = begin().under_kld(0.002)
    assert (result.standard, result.mix, result.kld) == ("Q4_0", small, 0.0019)
    known.exceptions = [(small, 0.0021), (middle, 0.0018)]
    (begin().folder / "measured.json").unlink()
    assert begin().under_kld(0.002).standard == "Q4_K_M"
    known.exceptions = [(small, 0.0021), (middle, 0.0021)]
    (begin().folder / "measured.json").unlink()
    result = begin().under_kld(0.002)
    assert result.standard is None and result.kld <= 0.002 and result.rival_kld == 0.0021


def test_types_far_from_the_average_are_not_made(begin: Callable[..., Search], known: Known) -> None:
    search = begin(None)
    assert search._window(5.0) == [
        kind for kind in search.kinds if kind == "F16" or 2.5 <= bits_per_weight(kind) <= 11.0
    ]
    assert "F16" in search._window(1.0) and "Q8_0" not in search._window(1.0) and "IQ1_S" in search._window(1.0)
    search = begin()
    # A budget whose window leaves only types that are too large takes all types.
    budget = search.source.file_bytes(dict.fromkeys(SHAPES, "Q4_0"))
    search.kinds = ["F16", "Q8_0", "Q4_0"]
    search._window = lambda average: ["F16", "Q8_0"]  # type: ignore[method-assign]
    assert search.source.file_bytes(search.under_bytes(budget).mix) == budget


def test_progress_and_probes_follow_the_average_of_the_budget(begin: Callable[..., Search]) -> None:
    search, asked = begin(), []
    search._window = lambda average: asked.append(average) or KINDS  # type: ignore[method-assign,func-returns-value]
    budget = search.source.file_bytes({}) // 2
    search.under_bytes(budget)
    assert asked == [pytest.approx(average_bits(search, budget))]


@pytest.mark.parametrize(
    ("kinds", "average", "probe"),
    [
        (["F16", "Q8_0", "Q5_0", "Q4_0"], 4.5, "Q4_0"),
        (["F16", "Q8_0", "Q5_0", "Q4_0"], 4.5 / 0.7, "Q4_0"),
        (["F16", "Q8_0", "Q5_0", "Q4_0"], 4.6 / 0.7, "Q5_0"),
        (["F16", "Q8_0", "Q5_0", "Q4_0"], 20, "Q5_0"),  # what the others are left in would tell nothing
        (["F16", "Q4_K"], 4.5, "Q8_0"),  # none fits
        (["F16", "Q8_0"], 4.5, "Q8_0"),
    ],
)
def test_a_group_is_probed_with_the_smallest_type_near_the_objective(
    kinds: list[str], average: float, probe: str, begin: Callable[..., Search]
) -> None:
    search = begin()
    search.candidates.make("Q8_0", lambda done, total: None)
    assert search._probe_type("blk.0.attn_q.weight", kinds, average) == probe


def test_tensors_are_grouped_by_kind_and_third_of_the_depth(begin: Callable[..., Search]) -> None:
    search = begin()
    assert {name: search._group(name) for name in SHAPES} == GROUP_OF
    search.source.layers = 8
    depths = [search._group(f"blk.{block}.ffn_up.weight") for block in range(8)]
    assert depths == [f"ffn_up {third}/3" for third in (1, 1, 1, 2, 2, 2, 3, 3)]
    assert search._group("output.weight") == "output"


def test_costs_by_kind_alone_are_the_means_over_the_depths(begin: Callable[..., Search]) -> None:
    search = begin()
    search.costs = dict(GROUPS)
    attention, feed_forward = (1.0 + 0.1 + 0.3) / 3, (4.0 + 0.2 + 2.0) / 3
    assert search._pooled_costs() == pytest.approx(
        {group: {"a": attention, "f": feed_forward, "t": 0.5}[group[0]] for group in GROUPS}
    )


def test_a_tensor_that_no_allowed_type_fits_is_named(begin: Callable[..., Search]) -> None:
    with pytest.raises(StageError, match=r"none of the allowed types fits token_embd\.weight, whose rows have 64"):
        begin(["Q4_K", "Q6_K"]).under_bytes(10**9)


def test_what_q8_0_does_not_fit_is_left_as_it_is_for_the_probes(begin: Callable[..., Search], known: Known) -> None:
    search = begin()
    search.candidates.losses["Q8_0"] = {}
    assert search._most_exact_quantized("blk.0.attn_q.weight") == "F16"
    search.candidates.losses["Q8_0"] = {"blk.0.attn_q.weight": 0.1}
    assert search._most_exact_quantized("blk.0.attn_q.weight") == "Q8_0"
    # Q8_0 is made for the probes where the recipe does not allow it, and no result has it.
    known.made.clear()
    search = begin(["F16", "Q5_0", "Q4_0"])
    result = search.under_bytes(search.source.file_bytes({}) // 2)
    assert "Q8_0" in known.made and "Q8_0" not in result.mix.values()


def test_a_result_is_listed_under_the_type_of_most_of_its_tensors() -> None:
    mix = {"a": "Q4_K", "b": "Q4_K", "c": "Q8_0"}
    result = SearchResult(mix, 0.0, 0.0, None, None, None, 0, {})
    assert result.file_type == "Q4_K_M"
    assert dataclasses.replace(result, standard="Q5_K_S").file_type == "Q5_K_S"
    assert dataclasses.replace(result, mix={"a": "F16"}).file_type == "F16"
