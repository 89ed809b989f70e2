"""Layers and places: no overlap, parents above, nothing moves."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.view_models.buses import route, spines
from dashboard.view_models.curves import along, curve
from dashboard.view_models.layers import acyclic, layers, spread
from dashboard.view_models.placement import NODE_HEIGHT, NODE_WIDTH, Point, placed

NODES = [f"n{number}" for number in range(14)]
links = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), max_size=30)
trees = st.lists(st.integers(0, 10**6), min_size=1, max_size=40).map(
    lambda draws: [(f"n{index + 1}", f"n{draw % (index + 1)}") for index, draw in enumerate(draws)]
)


def names_of(given_links: list[tuple[str, str]]) -> dict[str, str]:
    return {node: node.upper() for link in given_links for node in link} | {"n0": "N0"}


def overlap(one: Point, other: Point) -> bool:
    return abs(one.x - other.x) < NODE_WIDTH - 0.1 and abs(one.y - other.y) < NODE_HEIGHT - 0.1


@given(links)
def test_links_that_are_kept_are_above_one_another(found: list[tuple[str, str]]) -> None:
    kept = acyclic(found)
    layer = layers(NODES, kept)
    assert all(layer[child] > layer[parent] for child, parent in kept)
    assert acyclic(kept) == kept


@given(links)
def test_without_a_cycle_no_link_is_left_out(found: list[tuple[str, str]]) -> None:
    forward = list(dict.fromkeys((max(link, key=NODES.index), min(link, key=NODES.index)) for link in found))
    forward = [link for link in forward if link[0] != link[1]]
    assert acyclic(forward) == forward


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20))
def test_a_row_keeps_its_order_and_its_gaps(wanted: list[float]) -> None:
    row = [str(index) for index in range(len(wanted))]
    centre = spread(row, dict(zip(row, wanted, strict=True)), dict.fromkeys(row, 10.0), 2.0)
    assert all(centre[right] - centre[left] >= 12 - 1e-6 for left, right in pairwise(row))


def test_a_row_that_fits_is_where_it_wants_to_be() -> None:
    assert spread(["a", "b"], {"a": 0, "b": 50}, {"a": 10, "b": 10}, 2) == {"a": 0, "b": 50}


@settings(max_examples=60, deadline=None)
@given(trees)
def test_parents_lie_above_and_nothing_overlaps(found: list[tuple[str, str]]) -> None:
    places = placed(names_of(found), found, "n0")
    assert places["n0"] == Point(x=0, y=0)
    assert all(places[child].y > places[parent].y for child, parent in found)
    assert not any(overlap(one, other) for one, other in combinations(places.values(), 2))


@settings(max_examples=60, deadline=None)
@given(links, st.integers(1, 29))
def test_what_has_a_place_keeps_it_and_what_is_new_finds_room(found: list[tuple[str, str]], some: int) -> None:
    first = placed(names_of(found[:some]), found[:some], "n0")
    second = placed(names_of(found), found, "n0", first)
    assert second.keys() == names_of(found).keys()
    assert all(second[node] == place for node, place in first.items())
    assert not any(overlap(one, other) for one, other in combinations(second.values(), 2))


def test_what_is_hidden_keeps_its_room() -> None:
    family = [("b", "a"), ("c", "a")]
    known = placed({"a": "a", "b": "b"}, family, "a")
    again = placed({"a": "a", "c": "c"}, family, "a", known)
    assert not overlap(again["c"], known["b"])
    assert placed({"a": "a", "b": "b", "c": "c"}, family, "a", known | again) == known | again


def test_the_order_in_which_nodes_arrive_does_not_matter() -> None:
    family = [("b", "a"), ("c", "a"), ("d", "b"), ("d", "c")]
    names = {node: node for node in "abcd"}
    assert placed(names, family, "a") == placed(dict(reversed(names.items())), family, "a")


def test_many_leaves_are_stacked_in_rows() -> None:
    family = [(f"leaf{number:03d}", "root") for number in range(300)]
    places = placed({node: node for link in family for node in link}, family, "root")
    xs, ys = [point.x for point in places.values()], [point.y for point in places.values()]
    assert max(xs) - min(xs) < 25 * NODE_WIDTH
    assert max(ys) - min(ys) < 25 * NODE_WIDTH


def test_a_long_curve_goes_around_the_node_in_its_way() -> None:
    way = Point(x=0, y=140)
    bent = curve(Point(x=0, y=280), Point(x=0, y=0), (0, 0), [way])
    assert abs(along(bent, 0.5).x) > NODE_WIDTH / 2
    assert along(curve(Point(x=0, y=280), Point(x=0, y=0), (0, 0), []), 0.5).x == 0


def test_hundreds_of_families_are_as_wide_as_a_screen_not_as_a_ribbon() -> None:
    family = [(f"a{number:03d}", "root") for number in range(60)]
    family += [(f"b{number:03d}", f"a{number % 40:03d}") for number in range(240)]
    family += [("b000", "a039"), ("b001", "a038")]
    names = {node: node for link in family for node in link}
    places = placed(names, family, "root")
    xs, ys = [point.x for point in places.values()], [point.y for point in places.values()]
    assert (max(xs) - min(xs)) < 5 * (max(ys) - min(ys))
    assert all(places[child].y > places[parent].y for child, parent in family[:300])
    assert not any(overlap(one, other) for one, other in combinations(places.values(), 2))


def test_a_chain_of_a_thousand_is_drawn() -> None:
    chain = [(f"n{number + 1:04d}", f"n{number:04d}") for number in range(1000)]
    assert len(placed({node: node for link in chain for node in link}, chain, "n0000")) == 1001


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 60), st.integers(0, 120))
def test_branching_lines_pass_beside_the_nodes(families: int, more: int) -> None:
    links = [(f"a{number:03d}", "root") for number in range(families)]
    links += [(f"b{number:03d}", f"a{number % families:03d}") for number in range(more)]
    places = placed({node: node for link in links for node in link}, links, "root")
    lines = spines(places, links)
    assert "root" in lines
    for child, parent in links:
        if parent in lines:
            corners = route(places[child], places[parent], lines[parent], port=0, beside=0)
            for one, other in pairwise(corners):
                assert not any(
                    min(one.x, other.x) < node.x + NODE_WIDTH / 2 - 1
                    and max(one.x, other.x) > node.x - NODE_WIDTH / 2 + 1
                    and min(one.y, other.y) < node.y + NODE_HEIGHT / 2 - 1
                    and max(one.y, other.y) > node.y - NODE_HEIGHT / 2 + 1
                    for node in places.values()
                )
