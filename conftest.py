"""Loads Ansible first: pytest would take the folder `ansible/` for the package of that name."""

import ansible  # noqa: F401
