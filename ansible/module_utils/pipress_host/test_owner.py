import pytest

from .owner import judge_owner, may_remove, why_left_alone

HOME = {"project": "pipress", "stack": "home", "id": "3f9a01c2", "name": "pi-1"}
KITCHEN = {**HOME, "name": "kitchen"}
OTHER = {**HOME, "id": "77777777"}


def owned(stack, claim="aaaa"):
    return {**stack, "claim": claim}


@pytest.mark.parametrize("there", [None, owned(HOME), owned(KITCHEN, "bbbb")])
def test_a_stack_may_change_its_own_hosts_under_any_name_and_those_of_nobody(there):
    assert judge_owner(there, HOME, take_over=False) == []


def test_a_stack_of_the_same_name_with_another_id_is_another_stack():
    (finding,) = judge_owner(owned(HOME), OTHER, take_over=False)
    assert finding.error
    assert str(finding) == (
        'it belongs to stack "home" of project pipress (id 3f9a01c2), as "pi-1" — '
        "remove it there first, or set `takeOver: true` at this host to take it over"
    )


def test_a_play_without_a_stack_asks_nobody():
    assert judge_owner(owned(HOME), {}, take_over=False) == []


def test_taking_over_is_a_warning():
    (finding,) = judge_owner(owned(HOME), OTHER, take_over=True)
    assert not finding.error


@pytest.mark.parametrize(
    ("there", "claim", "may"),
    [
        (owned(HOME), "aaaa", True),
        # Brought anew under the same name: what is removed is what was there before.
        (owned(HOME, "bbbb"), "aaaa", False),
        (owned(OTHER, "bbbb"), "aaaa", False),
        (None, "aaaa", True),
        # From a state of before there were owners.
        (None, "", True),
        (owned(HOME), "", False),
    ],
)
def test_only_the_last_claim_may_remove(there, claim, may):
    assert may_remove(there, claim) is may


def test_a_removal_that_leaves_a_host_alone_says_whose_it_is():
    assert why_left_alone(owned(KITCHEN), HOME) == (
        'it is "kitchen" of this stack now: what runs there is left alone'
    )
    assert why_left_alone(owned(HOME), OTHER) == (
        'it belongs to stack "home" of project pipress (id 3f9a01c2) now, as "pi-1": what runs there is left alone'
    )
    assert why_left_alone(owned(HOME), HOME) == ""
