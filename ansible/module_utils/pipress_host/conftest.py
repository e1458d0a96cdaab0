"""Makes the package importable as the modules see it: `pipress_host`, beside no Ansible at all."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
