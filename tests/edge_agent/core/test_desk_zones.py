import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.desk_zones import Zone, ZonesError, parse_polygon, parse_zones
from event_protocol.events import ZoneRole

GOOD = """
zones:
  customer: {role: citizen, polygon: [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}
  desk_2-officer:
    role: officer
    polygon:
      - [0, 0]
      - [1, 0]
      - [1, 1]
      - [0, 1]
"""
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]


def test_reads_yaml() -> None:
    customer, officer = parse_zones(GOOD)
    assert customer == Zone("customer", ZoneRole.CITIZEN, ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9)))
    assert officer.role is ZoneRole.OFFICER
    assert officer.centre() == (0.5, 0.5)


def test_reads_json() -> None:
    text = json.dumps({"zones": {"w": {"role": "waiting", "polygon": SQUARE}}})
    (zone,) = parse_zones(text)
    assert zone.role is ZoneRole.WAITING


def one(zone: object, name: str = "a") -> str:
    return json.dumps({"zones": {name: zone}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zones: {a: [", "neither YAML nor JSON: line 1: "),
        ("\x00", "neither YAML nor JSON: unacceptable character"),
        ("[" * 5000, "neither YAML nor JSON: nested too deep"),
        ("zones: {? [a] : b}", "neither YAML nor JSON: line 1: found unhashable key"),
        ("zones: {a: 1, a: 2}", "line 1: the same name stands there twice"),
        ("", "there is no `zones:` at the top"),
        ("[1, 2]", "there is no `zones:` at the top"),
        ("zones: {}", "`zones:` must hold at least one zone by its name"),
        ("zones: [1]", "`zones:` must hold at least one zone by its name"),
        ('{"zones": {"a": 1}, "camera": 3}', "unknown entry 'camera' beside `zones:`"),
        (one({}, name="Desk 1"), "zone 'Desk 1': a name is made of a-z"),
        ("zones: {1: {}}", "zone 1: a name is made of a-z"),
        (one(None), "zone a: needs `role:` and `polygon:`"),
        (one({"polygon": SQUARE}), "zone a: `role:` is missing"),
        (one({"role": "citizen"}), "zone a: `polygon:` is missing"),
        (one({"role": "citizen", "polygon": SQUARE, "x": 1}), "zone a: unknown entry 'x'"),
        (
            one({"role": "visitor", "polygon": SQUARE}),
            "zone a: role 'visitor' is none of citizen, officer, waiting",
        ),
        (one({"role": ["citizen"], "polygon": SQUARE}), "zone a: role ['citizen'] is none of"),
        (one({"role": "citizen", "polygon": 3}), "zone a: the polygon must be a list of [x, y]"),
        (
            one({"role": "citizen", "polygon": [[0, 0], [1, 1]]}),
            "zone a: 2 different points, needs 3",
        ),
        (
            one({"role": "citizen", "polygon": [[0, 0], [1, 1], [0, 0]]}),
            "zone a: 2 different points, needs 3",
        ),
        (
            one({"role": "citizen", "polygon": [[0, 0], [0.5, 0.5], [1, 1]]}),
            "zone a: the polygon has next to no area",
        ),
        (
            one({"role": "citizen", "polygon": [[0, 0], [1, 0], [1, 1.2]]}),
            "zone a: point 3 [1, 1.2] is outside the picture (0 to 1)",
        ),
        (
            one({"role": "citizen", "polygon": [[-0.1, 0], [1, 0], [1, 1]]}),
            "zone a: point 1 [-0.1, 0] is outside the picture (0 to 1)",
        ),
        (
            "zones: {a: {role: citizen, polygon: [[0, 0], [.nan, 0], [0, 1]]}}",
            "zone a: point 2 [nan, 0] is outside",
        ),
        (
            one({"role": "citizen", "polygon": [[0, 0], [1], [1, 1]]}),
            "zone a: point 2 is not [x, y] with two numbers",
        ),
        (
            one({"role": "citizen", "polygon": [[0, 0], 7, [1, 1]]}),
            "zone a: point 2 is not [x, y] with two numbers",
        ),
        (
            one({"role": "citizen", "polygon": [[0, 0], [True, "1"], [1, 1]]}),
            "zone a: point 2 is not [x, y] with two numbers",
        ),
    ],
)
def test_names_the_zone_and_what_is_wrong_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ZonesError) as caught:
        parse_zones(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_zones_or_a_zones_error(text: str) -> None:
    try:
        parse_zones(text)
    except ZonesError:
        return


NOTCHED = Zone("n", ZoneRole.CITIZEN, ((0, 0), (1, 0), (1, 1), (0.5, 0.4), (0, 1)))


@pytest.mark.parametrize(
    ("x", "y", "is_inside"),
    [
        (0.5, 0.2, True),
        (0.1, 0.8, True),
        (0.9, 0.8, True),
        (0.5, 0.8, False),  # in the notch
        (-0.1, 0.2, False),
        (1.1, 0.2, False),
        (0.5, -0.1, False),
        (0.5, 1.1, False),
    ],
)
def test_a_zone_knows_what_it_holds(x: float, y: float, is_inside: bool) -> None:
    assert NOTCHED.holds((x, y)) is is_inside


def test_a_polygon_alone_is_held_to_the_same_rules() -> None:
    assert parse_polygon("mask 1", ((0, 0), (1, 0), (1, 1))) == ((0, 0), (1, 0), (1, 1))
    with pytest.raises(ZonesError, match=r"mask 1: 2 different points, needs 3"):
        parse_polygon("mask 1", [[0, 0], [1, 0], [0, 0]])
