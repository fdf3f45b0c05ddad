from itertools import pairwise

from testbed.layout import MAX_NODES, SLOTS, Layout, preferred_slots


def test_every_slot_is_tried_once_beginning_with_the_names_own():
    slots = list(preferred_slots("demo"))
    assert sorted(slots) == list(range(SLOTS))
    assert slots == list(preferred_slots("demo"))
    assert slots[0] != next(preferred_slots("other"))


def test_networks_of_two_slots_never_overlap():
    networks = [Layout("a", slot).network for slot in range(SLOTS)]
    assert not any(first.overlaps(second) for first, second in pairwise(networks))


def test_everything_of_a_cluster_lies_in_its_network_and_nothing_twice():
    layout = Layout("demo", 99)
    last = MAX_NODES
    assert layout.node_address(last) in layout.network
    ranges = [layout.node_pods(1), layout.node_pods(last), layout.fake_pods, layout.services]
    assert all(part.subnet_of(layout.network) for part in ranges)
    assert not any(one.overlaps(other) for one in ranges for other in ranges if one is not other)
    assert layout.api_address in layout.services


def test_link_names_fit_into_the_kernels_15_characters():
    assert len(Layout("a-very-long-cluster-name", 99).node_link(MAX_NODES)) <= 15
