"""Where the servers and the load balancer of ansible/test_clients.py are found."""

import sys
from pathlib import Path

import ansible.module_utils

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path += [str(REPOSITORY / "ansible"), str(REPOSITORY / "models")]
# As ansible/conftest.py has it.
ansible.module_utils.__path__.append(str(REPOSITORY / "ansible" / "module_utils"))
