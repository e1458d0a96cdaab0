"""llama.cpp's converter for what its `llama` or `deci` computes: a program of its own, see `conversion.py`.

`python as_llama.py CONVERTER ARGUMENTS...` runs the converter at that path with these arguments, and lets its class for
Llama write the model. Biases of q, k and v go along: `llama` and `deci` have a place for them.

Where config.json has an FFN width of every layer the file is of the architecture `deci`, which llama.cpp computes as
`llama` and reads those widths for. The converter's own class for `deci` wants another config and widths that follow
from multipliers.
"""

import runpy
import sys
from pathlib import Path
from typing import Any

# As `weights/files.py` has it: the converter's process sees none of this package.
WIDTHS = "intermediate_size_per_layer"


def main() -> None:
    """Changes the class, then runs the converter."""
    converter = Path(sys.argv[1])
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(converter.parent))
    import gguf
    from conversion.base import ModelBase
    from conversion.llama import LlamaModel

    load = ModelBase.load_hparams

    def load_hparams(*arguments: Any, **named: Any) -> dict[str, Any]:
        config = load(*arguments, **named)
        widths = config.get(WIDTHS)
        if widths:
            LlamaModel.model_arch = gguf.MODEL_ARCH.DECI
        return {
            **config,
            "architectures": ["LlamaForCausalLM"],
            "intermediate_size": widths or config["intermediate_size"],
        }

    ModelBase.load_hparams = staticmethod(load_hparams)
    runpy.run_path(str(converter), run_name="__main__")


if __name__ == "__main__":
    main()
