from pathlib import Path

from pipress.bench.train_speed import measure, padded
from pipress.validation import check_params
from pipress.weights.folder import load_tokenizer


def test_both_loops_run_and_the_ratio_is_of_their_speeds(tiny_model: Path, tiny_texts: Path) -> None:
    settings = {"tokens": 3 * 2 * 64, "sequenceLength": 64, "batchSize": 2, "rank": 4, "validationTokens": 256}
    result = measure(tiny_model, tiny_model, tiny_texts, check_params("recover", settings))
    assert result["ratio"] == round(result["ours"] / result["peer"], 2) and min(result["ours"], result["peer"]) > 0


def test_padding_is_not_counted(tiny_model: Path) -> None:
    rows = padded(load_tokenizer(tiny_model), ["ab", "abcdef", "abcdefghijkl"], 8)
    assert rows["input_ids"].shape == (3, 8)
    assert rows["attention_mask"].sum(dim=1).tolist() == [2, 6, 8]
