"""llama.cpp's converter for a Llama with an FFN width of every layer: a program of its own, see `conversion.py`.

`python deci.py CONVERTER ARGUMENTS...` runs the converter at that path with these arguments. Its Llama class writes the
architecture `deci`, which llama.cpp computes as `llama` and reads an FFN width of every layer for. The converter's own
class for `deci` wants another config and widths that follow from multipliers.
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
        return {**config, "intermediate_size": config[WIDTHS]}

    ModelBase.load_hparams = staticmethod(load_hparams)
    LlamaModel.model_arch = gguf.MODEL_ARCH.DECI
    runpy.run_path(str(converter), run_name="__main__")


if __name__ == "__main__":
    main()
