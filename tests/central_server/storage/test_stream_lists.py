"""How far projection is behind."""

from central_server.storage import stream_lists
from central_server.storage.tables import StreamRow
from central_server.storage.unit_of_work import Database


def test_a_gap_that_was_given_up_makes_up_for_no_other_stream(any_database: Database) -> None:
    with any_database.transaction() as db:
        db.add(StreamRow(device="gap", epoch=1, received_through=2, projected_through=900))
        db.add(StreamRow(device="late", epoch=1, received_through=9, projected_through=4))
    with any_database.reading() as db:
        assert stream_lists.events_behind(db) == 5
