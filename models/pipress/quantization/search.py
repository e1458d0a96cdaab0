"""The best mix of tensor types for an objective, from measured sensitivity.

1. Every tensor is made in every type that may matter, and its loss is computed: the importance-weighted share of its
   output's power that quantization turns to noise (`candidates.py`).
2. How much a loss costs in KL divergence differs by kind of tensor and by depth. It is measured: one group at a time is
   coarsely quantized, the rest is left almost exact, and llama-perplexity says what that did.
3. Losses times costs, against bytes, are a knapsack (`allocation.py`).
4. The mixes that come of it, and the best standard types of no larger size, are measured on more text. The best
   measured one is taken, so the result is never behind the best standard type on that text.

The text is the part of the calibration text that is held back; evaluation text has no part in it.
"""

import hashlib
import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipress.atomic import read_json, write_json
from pipress.errors import StageError
from pipress.evaluation.scores import mean_of_rows, score_against, score_reference
from pipress.quantization.allocation import Option, allocate, refine
from pipress.quantization.candidates import Candidates
from pipress.quantization.llama_quantize import planned_types
from pipress.quantization.source_model import Mix, SourceModel
from pipress.quantization.types import SEARCHED_TYPES, STANDARD_TYPES, bits_per_weight
from pipress.spec import Spec

CONTEXT = 256
# Rows of text for the many rough measurements of step 2, and for the few of step 4 that decide.
PROBE_ROWS, DECIDING_ROWS = 4, 16

# Types looked at, in bits per weight over the objective's average: none beyond these was ever worth its bytes.
WINDOW = (0.5, 2.2)
# A group is probed with the smallest type of at least this share of the objective's bits, or the largest below: its
# cost is wanted there.
PROBE_BITS = 0.7
# The average that an objective in nats is first looked for at.
TYPICAL_BITS = 4.5
# Groups of blocks by depth: first, middle and last third.
DEPTHS = 3
# Standard types measured beside the search's own mixes: the most promising of the nearest in size.
STANDARDS_NEAR, STANDARDS_MEASURED = 6, 3
# An objective in nats is met when the result lies this close below it, or after so many tries.
NEAR_ENOUGH, TRIES = 0.95, 5
# How progress is shared out: candidates, probing, deciding.
MADE, PROBED, DECIDED = 0.35, 0.65, 0.9


@dataclass(frozen=True)
class SearchResult:
    """What a search ended with. KL divergences in nats per token, from the model that was quantized."""

    mix: Mix
    kld: float
    kld_error: float
    # Set where a standard type could not be beaten.
    standard: str | None
    # The best measured standard type of no larger size, if there is one.
    rival: str | None
    rival_kld: float | None
    measurements: int
    # Nats per unit of loss, by group of tensors.
    costs: dict[str, float]

    @property
    def file_type(self) -> str:
        """The file type that the result is listed under: the standard type, or that of most tensors."""
        if self.standard:
            return self.standard
        kind, _ = Counter(self.mix.values()).most_common(1)[0]
        return SEARCHED_TYPES.get(kind, kind)


class Search:
    """One search, which goes on where a killed one stopped."""

    def __init__(
        self, spec: Spec, source: SourceModel, imatrix: Path, rows: np.ndarray, kinds: list[str] | None
    ) -> None:
        self.spec = spec
        self.source = source
        self.imatrix = imatrix
        self.kinds = kinds or [source.full_type, *SEARCHED_TYPES]
        self.folder = spec.checkpoint
        self.candidates = Candidates(spec.llama_cpp_bin, source, imatrix, self.folder / "candidates")
        # Every few rows one to probe on, the rest to decide on: both from all over the text.
        probes = np.arange(len(rows)) % (1 + DECIDING_ROWS // PROBE_ROWS) == 0
        self.rows = {PROBE_ROWS: rows[probes], DECIDING_ROWS: rows[~probes]}
        self.measured: dict[str, tuple[float, float]] = read_json(self.folder / "measured.json") or {}
        self.costs: dict[str, float] = {}

    def under_bytes(self, budget: int) -> SearchResult:
        """The mix of least KL divergence whose file has at most `budget` bytes."""
        smallest = self.source.file_bytes(self._smallest(self.kinds))
        if smallest > budget:
            raise StageError(
                f"no mix of types makes a file of {budget:,} bytes or less",
                f"the smallest reachable is {smallest:,} bytes: raise objective.maxFileSize to that, or prune more",
            )
        average = 8 * budget / sum(math.prod(tensor.shape) for tensor in self.source.weights.values())
        kinds = self._window(average)
        if self.source.file_bytes(self._smallest(kinds)) > budget:
            kinds = self.kinds
        self._prepare(kinds, average)
        standards = self._standards(budget)
        mixes = [self._allocate(kinds, budget, costs) for costs in (self.costs, self._pooled_costs())]
        result = self._decide(mixes, standards)
        if result.standard is None:
            return result
        # A standard type won: spend on it what it leaves of the budget, and see whether that is better.
        spare = budget - self.source.file_bytes(result.mix)
        improved = refine(self._options(kinds, self.costs, also=result.mix), result.mix, spare)
        return self._decide([*mixes, improved], standards)

    def under_kld(self, limit: float) -> SearchResult:
        """The smallest file whose measured KL divergence is at most `limit` nats per token."""
        self._prepare(self.kinds, TYPICAL_BITS)
        best: Mix | None = None
        goal = limit
        for _ in range(TRIES):
            mix = self._cheapest(goal)
            kld, _ = self._measure(mix, DECIDING_ROWS, "a mix for the objective")
            if kld <= limit and (best is None or self.source.file_bytes(mix) < self.source.file_bytes(best)):
                best = mix
            if NEAR_ENOUGH * limit <= kld <= limit:
                break
            # The model of costs is off by some factor here: aim where it has to say so for the measurement to agree.
            goal *= (0.5 + 0.5 * NEAR_ENOUGH) * limit / max(kld, limit / 10)
        if best is None:
            best = self._most_exact()
            kld, _ = self._measure(best, DECIDING_ROWS, "the most exact mix")
            if kld > limit:
                raise StageError(
                    f"no mix of types reaches a KL divergence of {limit:g} nats per token",
                    f"the best reachable is {kld:.3g}: set objective.quality.kld to that or more",
                )
        standards = self._standards(self.source.file_bytes(best))
        for name, mix in sorted(standards.items(), key=lambda item: self.source.file_bytes(item[1])):
            if self._measure(mix, DECIDING_ROWS, f"{name} as it is")[0] <= limit:
                return self._result(mix, {name: mix})
        return self._result(best, standards)

    # The steps

    def _prepare(self, kinds: list[str], average: float) -> None:
        """Steps 1 and 2: losses of all candidates, costs of all groups."""
        made = [kind for kind in kinds if kind != self.source.full_type]
        if "Q8_0" not in made:
            made.append("Q8_0")  # what is not probed is left in it
        for index, kind in enumerate(made):
            self._make(kind, MADE * index / len(made), MADE / len(made))
        self._measure_costs(kinds, average)

    def _measure_costs(self, kinds: list[str], average: float) -> None:
        exact = {name: self._most_exact_quantized(name) for name in self.source.weights}
        coarse = {name: self._probe_type(name, kinds, average) for name in self.source.weights}
        groups = defaultdict(list)
        for name in self.source.weights:
            groups[self._group(name)].append(name)
        loss = self.candidates.losses
        quiet, raised = self._measure(exact, PROBE_ROWS, "almost exact", MADE)[0], {}
        for index, (group, names) in enumerate(groups.items()):
            mix = {**exact, **{name: coarse[name] for name in names}}
            fraction = MADE + (PROBED - MADE) * (index + 1) / (len(groups) + 1)
            kld, _ = self._measure(mix, PROBE_ROWS, f"{group} coarse", fraction)
            noise = sum(loss[coarse[name]][name] - loss[exact[name]][name] for name in names)
            raised[group] = (kld - quiet, noise)
        # A group that seems to cost nothing was lost in the noise of the measurement: it costs a little.
        least = 0.05 * sum(max(cost, 0) for cost, _ in raised.values()) / len(raised)
        known = {group: max(cost, least) / noise for group, (cost, noise) in raised.items() if noise > 0}
        # A group that has no coarser type costs what the others do.
        usual = sum(known.values()) / len(known) if known else 1.0
        self.costs = {group: known.get(group, usual) for group in raised}

    def _decide(self, mixes: list[Mix], standards: dict[str, Mix]) -> SearchResult:
        """Step 4: measures the contenders on the deciding text and takes the best."""
        contenders = [(mix, "a mix of its own") for mix in mixes]
        contenders += [(mix, f"{name} as it is") for name, mix in standards.items()]
        scored = []
        for index, (mix, label) in enumerate(contenders):
            fraction = PROBED + (DECIDED - PROBED) * index / len(contenders)
            scored.append((self._measure(mix, DECIDING_ROWS, label, fraction)[0], index))
        return self._result(contenders[min(scored)[1]][0], standards)

    def _result(self, mix: Mix, standards: dict[str, Mix]) -> SearchResult:
        rivals = {name: self._measure(rival, DECIDING_ROWS, f"{name} as it is")[0] for name, rival in standards.items()}
        rival = min(rivals, key=rivals.__getitem__, default=None)
        kld, error = self._measure(mix, DECIDING_ROWS, "the result")
        return SearchResult(
            mix=mix,
            kld=kld,
            kld_error=error,
            standard=next((name for name, standard in standards.items() if standard == mix), None),
            rival=rival,
            rival_kld=None if rival is None else rivals[rival],
            measurements=len(self.measured),
            costs=self.costs,
        )

    # Choosing types

    def _options(self, kinds: list[str], costs: dict[str, float], also: Mix | None = None) -> dict[str, list[Option]]:
        losses = self.candidates.losses
        return {
            name: [
                Option(kind, self.source.padded_bytes(name, kind), costs[self._group(name)] * losses[kind][name])
                for kind in dict.fromkeys([*self.candidates.kinds_for(name, kinds), *([also[name]] if also else [])])
            ]
            for name in self.source.weights
        }

    def _allocate(self, kinds: list[str], budget: int, costs: dict[str, float]) -> Mix:
        return allocate(self._options(kinds, costs), budget - self.source.fixed_bytes)

    def _cheapest(self, goal: float) -> Mix:
        """The smallest mix that the model of costs expects to stay within `goal`."""
        low = self.source.file_bytes(self._smallest(self.kinds))
        high = self.source.file_bytes(self._most_exact())
        while high - low > 0.0005 * high:
            middle = (low + high) // 2
            if self.expected(self._allocate(self.kinds, middle, self.costs)) <= goal:
                high = middle
            else:
                low = middle
        return self._allocate(self.kinds, high, self.costs)

    def expected(self, mix: Mix) -> float:
        """KL divergence of a mix by the model of costs."""
        return sum(self.costs[self._group(name)] * self.candidates.losses[kind][name] for name, kind in mix.items())

    def _standards(self, budget: int) -> dict[str, Mix]:
        """The most promising standard types of at most that size."""
        near: list[tuple[int, str, Mix]] = []
        for name in STANDARD_TYPES:
            self.spec.report(PROBED, f"what {name} would be")
            plan = planned_types(self.spec.llama_cpp_bin, self.source.path, name, self.imatrix)
            if plan is None:
                continue
            mix = {tensor: plan.get(tensor, self.source.full_type) for tensor in self.source.weights}
            size = self.source.file_bytes(mix)
            # Where a recipe allows some types only, a standard type of others is no rival.
            allowed = set(mix.values()) <= {*self.kinds, self.source.full_type}
            if allowed and size <= budget and all(mix != other for _, _, other in near):
                near.append((size, name, mix))
        near = sorted(near, key=lambda entry: -entry[0])[:STANDARDS_NEAR]
        for _, _, mix in near:
            for kind in sorted(set(mix.values()) - {self.source.full_type}):
                self._make(kind, PROBED, 0)
        near.sort(key=lambda entry: self.expected(entry[2]))
        return {name: mix for _, name, mix in near[:STANDARDS_MEASURED]}

    def _smallest(self, kinds: list[str]) -> Mix:
        return {
            name: min(self._kinds_for(name, kinds), key=lambda kind: self.source.padded_bytes(name, kind))
            for name in self.source.weights
        }

    def _most_exact(self) -> Mix:
        losses = self.candidates.losses
        return {
            name: min(self._kinds_for(name, self.kinds), key=lambda kind: losses[kind][name])
            for name in self.source.weights
        }

    def _kinds_for(self, name: str, kinds: list[str]) -> list[str]:
        possible = self.candidates.kinds_for(name, kinds)
        if not possible:
            columns = self.source.weights[name].shape[-1]
            raise StageError(
                f"none of the allowed types fits {name}, whose rows have {columns} weights",
                "add one to objective.types: Q8_0, Q5_1, Q5_0, Q4_1, Q4_0 and IQ4_NL fit multiples of 32",
            )
        return possible

    def _window(self, average: float) -> list[str]:
        low, high = (average * share for share in WINDOW)
        return [kind for kind in self.kinds if kind == self.source.full_type or low <= bits_per_weight(kind) <= high]

    def _most_exact_quantized(self, name: str) -> str:
        return "Q8_0" if name in self.candidates.losses["Q8_0"] else self.source.full_type

    def _probe_type(self, name: str, kinds: list[str], average: float) -> str:
        exact = self._most_exact_quantized(name)
        possible = [
            kind for kind in self.candidates.kinds_for(name, kinds) if kind not in (exact, self.source.full_type)
        ]
        if not possible:
            return exact
        coarse = [kind for kind in possible if bits_per_weight(kind) >= PROBE_BITS * average]
        return min(coarse, key=bits_per_weight) if coarse else max(possible, key=bits_per_weight)

    def _group(self, name: str) -> str:
        """Kind of tensor and third of the depth: `ffn_down 2/3`. What is in no block stands alone."""
        parts = name.split(".")
        if parts[0] != "blk":
            return parts[0]
        return f"{parts[2]} {int(parts[1]) * DEPTHS // self.source.layers + 1}/{DEPTHS}"

    def _pooled_costs(self) -> dict[str, float]:
        """Costs by kind of tensor alone: less detailed, less noisy."""
        by_kind = defaultdict(list)
        for group, cost in self.costs.items():
            by_kind[group.split(" ")[0]].append(cost)
        return {group: sum(by_kind[group.split(" ")[0]]) / len(by_kind[group.split(" ")[0]]) for group in self.costs}

    # Work

    def _make(self, kind: str, begin: float, share: float) -> None:
        def on_tensor(done: int, total: int) -> None:
            self.spec.report(begin + share * done / total, f"tensors as {kind}, {done}/{total}")

        self.candidates.make(kind, on_tensor)

    def _measure(self, mix: Mix, n_rows: int, label: str, fraction: float = PROBED) -> tuple[float, float]:
        """KL divergence of a mix and its standard error; each mix is measured once."""
        key = hashlib.sha256(json.dumps([n_rows, sorted(mix.items())]).encode()).hexdigest()
        if key not in self.measured:
            self.spec.report(fraction, f"measuring {label}")
            model = self.folder / "mix.gguf"
            self.candidates.assemble(mix, model)
            scores = score_against(
                self.spec.llama_cpp_bin,
                model,
                self.rows[n_rows],
                self._reference(n_rows),
                lambda done: self.spec.report(fraction, f"measuring {label}, row {done}/{n_rows}"),
            )
            divergence = mean_of_rows(scores.kld)
            self.measured[key] = (divergence.value, divergence.error)
            write_json(self.folder / "measured.json", self.measured)
        kld, error = self.measured[key]
        return kld, error

    def _reference(self, n_rows: int) -> Path:
        """Log-probabilities of the full-precision model on so many rows."""
        path = self.folder / f"reference-{n_rows}.logits"
        if not path.exists():
            part = path.with_suffix(".part")
            score_reference(
                self.spec.llama_cpp_bin,
                self.source.path,
                self.rows[n_rows],
                part,
                lambda done: self.spec.report(MADE, f"the model in full precision, row {done}/{n_rows}"),
            )
            part.replace(path)
        return path
