import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.batches import pack, send


def one(_):
    return 1


@pytest.mark.parametrize(
    ("items", "most", "sizes"),
    [(0, 500, []), (1, 500, [1]), (500, 500, [500]), (501, 500, [500, 1]), (5, 2, [2, 2, 1])],
)
def test_pack_fills_each_batch_before_the_next(items, most, sizes):
    assert [len(batch) for batch in pack(range(items), (most, one))] == sizes


def test_pack_minds_every_limit():
    assert pack(["aa", "b", "ccc", "dddddd", "e"], (3, one), (5, len)) == [
        ["aa", "b"],
        ["ccc"],
        ["dddddd"],
        ["e"],
    ]


class Bad(Exception):
    pass


@given(st.integers(0, 60), st.sets(st.integers(0, 60)), st.integers(1, 20))
def test_send_isolates_exactly_the_bad_and_does_all_the_others_once(count, bad, size):
    done = []

    def act(batch):
        if bad & set(batch):
            raise Bad(batch)
        done.extend(batch)

    culprits = send(pack(range(count), (size, one)), act, refused=lambda e: isinstance(e, Bad))
    assert [item for item, _ in culprits] == sorted(bad & set(range(count)))
    assert done == [item for item in range(count) if item not in bad]


def test_send_raises_at_once_what_is_not_about_an_item():
    calls = []

    def act(batch):
        calls.append(batch)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        send([[1, 2], [3]], act, refused=lambda e: isinstance(e, Bad))
    assert calls == [[1, 2]]
