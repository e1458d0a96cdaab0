"""What runs on a host, in Python's standard library only (3.9 and newer).

The same files serve twice: Ansible sends them along with the modules in `ansible/library`, and the role
`server` installs them under /usr/local/lib/pipress for what must go on without a controller.
"""
