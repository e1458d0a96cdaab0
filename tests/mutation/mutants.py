"""Lists the small bugs that can be put into Python files, and writes out those that were chosen.

    python mutants.py list FILE...            -> JSON: mutants, one for each operator at each place
    python mutants.py apply <CHOSEN.json      -> JSON: the text of each mutant's file with that bug in it

The operators are Cosmic Ray's (https://cosmic-ray.readthedocs.io), and one of our own: it leaves out a call whose
result nobody takes, such as a sync of a file.
"""

import json
import sys
from pathlib import Path

import parso
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.exception_replacer import ExceptionReplacer
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

# Each needs arguments, so that one would have to name variables.
NAMED = ("core/VariableReplacer", "core/VariableInserter")


class RemoveCall(Operator):
    """Puts `None` in the place of a statement that is a call."""

    def mutation_positions(self, node):
        if node.type == "simple_stmt" and is_call(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node, index):
        node.children[0] = parso.parse(node.children[0].get_first_leaf().prefix + "None")
        return node

    @classmethod
    def examples(cls):
        return ()


def is_call(node) -> bool:
    """Whether it is `f(...)` or `a.f(...)` and no more."""
    return node.type == "atom_expr" and node.children[-1].type == "trailer" and node.children[-1].children[0] == "("


def operators():
    """Every operator by name, that of this file first."""
    yield "RemoveCall", RemoveCall()
    for name in operator_names():
        if name not in NAMED:
            yield name, get_operator(name)()


def is_annotation(node) -> bool:
    """Whether the node is part of a type annotation, which does nothing when the program runs."""
    while node.parent is not None:
        child, node = node, node.parent
        before = node.children[: node.children.index(child)] if child in node.children else []
        if node.type in ("tfpdef", "annassign") and before and before[0] == ":" and "=" not in before:
            return True
        if node.type == "tfpdef" and ":" in before:
            return True
        if node.type == "funcdef" and before and before[-1] == "->":
            return True
    return False


def is_beyond(operator, node) -> bool:
    """Whether it is an `except` of an exception with its module before it, over which Cosmic Ray stumbles."""
    return isinstance(operator, ExceptionReplacer) and any(name.type != "name" for name in operator._name_nodes(node))


def list_mutants(path: str):
    """The mutants of a file: where each is, and by which operator. Places are lines from 1 and columns from 0."""
    tree = get_ast_from_path(Path(path))
    for name, operator in operators():
        places = ((node, place) for node in ast_nodes(tree) for place in operator.mutation_positions(node))
        for occurrence, (node, (start, _)) in enumerate(places):
            if not is_annotation(node) and not is_beyond(operator, node):
                yield {"file": path, "line": start[0], "column": start[1], "operator": name, "occurrence": occurrence}


def apply(mutant) -> str:
    """The text of the mutant's file with the bug in it."""
    operator = dict(operators())[mutant["operator"]]
    return mutate_code(Path(mutant["file"]).read_text(), operator, mutant["occurrence"])


if __name__ == "__main__":
    if sys.argv[1] == "list":
        json.dump([mutant for path in sys.argv[2:] for mutant in list_mutants(path)], sys.stdout)
    else:
        json.dump([apply(mutant) for mutant in json.load(sys.stdin)], sys.stdout)
