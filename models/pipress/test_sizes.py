import pytest

from pipress.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"), [("96 MB", 96_000_000), ("3.99 GB", 3_990_000_000), ("6GiB", 6 * 2**30), ("182976 B", 182_976)]
)
def test_sizes_have_decimal_and_binary_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["96", "96 mb", "much"])
def test_what_is_no_size_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)
