"""The ledger in the store: who gets a launch's number, and what damage to its files does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from fintts_store import layout
from fintts_store.errors import LaunchTaken
from fintts_store.runs.laptop import Laptop
from fintts_store.runs.ledger import read_ledger, take_launch, withdraw_launch, write_sighting
from fintts_store.runs.limits import SIGHTINGS
from ledger_samples import LAPTOP_C, LAPTOP_D, RUN, asked, gone, up
from memory_store import MemoryStore
from run_samples import MINUTE, START


def test_of_many_laptops_exactly_one_gets_the_launch_and_the_others_learn_which() -> None:
    store, start = MemoryStore(), Barrier(8)

    def race(number: int) -> str | None:
        laptop = Laptop(id=f"{number:032x}", host=f"laptop-{number}")
        start.wait()
        try:
            take_launch(store, asked(asker=laptop))
        except LaunchTaken as error:
            return error.message
        return None

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(race, range(8)))
    winner = answers.index(None)
    assert [one for one in answers if one is None] == [None]
    others = {one for one in answers if one is not None}
    assert others == {f"laptop-{winner} already launched run {RUN} at 09:00:00 UTC"}


def test_a_request_whose_answer_was_lost_is_not_taken_for_somebody_elses() -> None:
    store = MemoryStore()
    assert take_launch(store, asked(pid=7)) == 1
    assert take_launch(store, asked(pid=7)) == 1
    with pytest.raises(LaunchTaken):
        take_launch(store, asked(pid=8))


def test_a_launch_whose_request_cannot_be_read_is_another_laptops() -> None:
    store = MemoryStore()
    store.create(layout.asked_key(RUN, 1), b"{")
    with pytest.raises(LaunchTaken, match=f"^another laptop just launched run {RUN}$"):
        take_launch(store, asked())


def test_a_damaged_sighting_says_by_its_name_that_an_instance_was_up() -> None:
    """Else somebody who looked too early, and saw none yet, is believed, and hours are free."""
    store = MemoryStore()
    take_launch(store, asked())
    write_sighting(store, gone(START + MINUTE))
    write_sighting(store, up(START + 2 * MINUTE))
    (key,) = [each.key for each in store.list("runs/") if "/up-" in each.key]
    store.put(key, b"{")
    found = read_ledger(store, RUN)
    (launch,) = found.launches
    assert [each.at for each in launch.ups] == [START + 2 * MINUTE]
    assert launch.standing_gones == ()
    assert len(found.damaged) == 1
    store.put(key.replace("2026", "9999"), b"{")
    store.put(key.replace("/up-2026", "/up-2026").replace("T09", "T77"), b"{")
    assert len(read_ledger(store, RUN).launches[0].ups) == 1


@pytest.mark.parametrize("evidence", ["heartbeat", "deadline"])
def test_an_end_that_nobody_saw_is_accepted_and_counts_as_none(evidence: str) -> None:
    store = MemoryStore()
    take_launch(store, asked())
    write_sighting(store, gone(START + MINUTE, evidence=evidence))
    found = read_ledger(store, RUN)
    assert found.damaged == ()
    assert found.launches[0].gones == ()


def test_what_was_written_is_read() -> None:
    store = MemoryStore()
    take_launch(store, asked())
    take_launch(store, asked(2, asker=LAPTOP_D))
    came, went = up(START + MINUTE), gone(START + 9 * MINUTE)
    for seen in (came, went, went):
        write_sighting(store, seen)
    first, second = read_ledger(store, RUN).launches
    assert (first.asked, first.ups, first.gones) == (asked(), (came,), (went,))
    assert first.is_known_gone
    assert second.asked is not None
    assert second.asked.asker == LAPTOP_D
    assert not second.is_known_gone
    assert read_ledger(store, RUN).next_number == 3


def test_a_spot_instance_that_came_back_is_not_gone() -> None:
    store = MemoryStore()
    take_launch(store, asked(spot=True))
    for seen in (up(START), gone(START + MINUTE), up(START + 2 * MINUTE)):
        write_sighting(store, seen)
    newest = read_ledger(store, RUN).newest
    assert newest is not None
    assert not newest.is_known_gone


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"run": "kalevala-1"}',
        asked(run="another").dump().encode(),
        asked(7).dump().encode(),
        asked().dump().replace('"1.20"', '"1e999999"').encode(),
        asked().dump().replace("300.0", "1e300").encode(),
        asked().dump().replace('"' + LAPTOP_C.id, '"../../x').encode(),
    ],
)
def test_a_damaged_launch_is_named_and_keeps_its_number(content: bytes) -> None:
    store = MemoryStore()
    store.put(layout.asked_key(RUN, 1), content)
    ledger = read_ledger(store, RUN)
    assert [launch.asked for launch in ledger.launches] == [None]
    assert ledger.next_number == 2
    assert "000001/asked.json" in ledger.damaged[0].message
    with pytest.raises(LaunchTaken):
        take_launch(store, asked())


def test_a_damaged_sighting_is_named_and_hides_no_other() -> None:
    store = MemoryStore()
    take_launch(store, asked())
    write_sighting(store, gone(START + MINUTE))
    store.put(layout.sighting_key(RUN, 1, "gone", START, LAPTOP_D.writer), b"{}")
    ledger = read_ledger(store, RUN)
    assert [one.at for one in ledger.launches[0].gones] == [START + MINUTE]
    assert len(ledger.damaged) == 1


def test_what_somebody_else_put_there_is_passed_over() -> None:
    store = MemoryStore()
    for name in ("ledger/.DS_Store", "ledger/000001/notes.txt", "ledger/99/asked.json"):
        store.put(layout.run_prefix(RUN) + name, b"x")
    ledger = read_ledger(store, RUN)
    assert (ledger.launches, ledger.damaged, ledger.next_number) == ((), (), 1)


def test_a_launch_of_which_nothing_was_rented_leaves_nothing() -> None:
    store = MemoryStore()
    take_launch(store, asked())
    write_sighting(store, gone(START))
    withdraw_launch(store, RUN, 1)
    assert store.list("") == []


def test_a_number_that_no_laptop_can_have_taken_hides_no_launch() -> None:
    store = MemoryStore()
    take_launch(store, asked())
    store.put(layout.asked_key(RUN, 999_999), asked(999_999).dump().encode())
    ledger = read_ledger(store, RUN)
    assert ledger.next_number == 2
    assert "999999/asked.json is ignored" in ledger.damaged[0].message


def test_more_sightings_than_anybody_can_have_seen_are_not_read() -> None:
    store = MemoryStore()
    take_launch(store, asked())
    for number in range(SIGHTINGS + 20):
        seen = gone(START + number * MINUTE)
        store.put(
            layout.sighting_key(RUN, 1, "gone", seen.at, LAPTOP_C.writer), seen.dump().encode()
        )
    ledger = read_ledger(store, RUN)
    assert ledger.launches[0].asked == asked()
    assert len(ledger.launches[0].gones) == SIGHTINGS
    assert len(ledger.damaged) == 1
