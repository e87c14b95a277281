"""The error tree: who is whose parent, what errors carry, that they travel."""

from __future__ import annotations

import builtins
import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from typing import Any, List, Type

import pytest

from bananas import exceptions as exc

TREE = {
    exc.BananasError: (Exception,),
    exc.ConnectionError: (exc.BananasError, builtins.ConnectionError, OSError),
    exc.AuthenticationError: (exc.ConnectionError, builtins.ConnectionError),
    exc.OutcomeUnknownError: (exc.BananasError,),
    exc.TimeoutError: (exc.BananasError, builtins.TimeoutError),
    exc.ServerError: (exc.BananasError,),
    exc.JobRejectedError: (exc.ServerError,),
    exc.JobNotFoundError: (exc.BananasError,),
    exc.ResultNotFoundError: (exc.BananasError,),
    exc.JobFailedError: (exc.BananasError,),
    exc.JobCancelledError: (exc.JobFailedError,),
    exc.JobExistsError: (exc.BananasError,),
    exc.SerializationError: (exc.BananasError, ValueError),
    exc.ClientClosedError: (exc.BananasError,),
}
ERRORS: List[Type[exc.BananasError]] = list(TREE)
FACTS = {
    exc.ConnectionError: ["permanent"],
    exc.AuthenticationError: ["permanent"],
    exc.TimeoutError: ["whereabouts"],
    exc.ServerError: ["code"],
    exc.JobRejectedError: ["code"],
    exc.JobFailedError: ["error"],
    exc.JobCancelledError: ["error"],
}
each_error = pytest.mark.parametrize("error_type", ERRORS, ids=lambda cls: cls.__name__)


def test_the_tree_is_complete() -> None:
    """Every public error is in the tree, and nothing else is public."""
    assert sorted(cls.__name__ for cls in TREE) == sorted(exc.__all__)


@each_error
def test_parents(error_type: Type[exc.BananasError]) -> None:
    """Every error is caught by the base, and by the builtin that it specialises."""
    for parent in TREE[error_type]:
        assert issubclass(error_type, parent)
    assert issubclass(error_type, exc.BananasError)


@each_error
def test_message_first_and_facts_by_keyword(error_type: Type[exc.BananasError]) -> None:
    """The message is the error's text, and the facts are attributes."""
    error = error_type("what happened", job_id="a", submitted=("b", "c"))
    assert str(error) == "what happened"
    assert error.args == ("what happened",)
    assert (error.job_id, error.job_ids, error.submitted) == ("a", ("a",), ("b", "c"))


@each_error
def test_facts_default_to_nothing(error_type: Type[exc.BananasError]) -> None:
    """An error that is about no job says so."""
    error = error_type("what happened")
    assert (error.job_id, error.job_ids, error.submitted) == (None, (), ())


@each_error
def test_a_second_positional_is_refused(error_type: Any) -> None:
    """Facts can't be given by position, where one could be taken for another."""
    with pytest.raises(TypeError):
        error_type("what happened", "a")


@each_error
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling(error_type: Type[exc.BananasError], protocol: int) -> None:
    """An error comes out of a process pool with its type, its message and all its facts."""
    facts = {name: f"a {name}" for name in FACTS.get(error_type, ())}
    error = error_type("what happened", job_id="a", job_ids=("a", "b"), submitted=("c",), **facts)
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is error_type
    assert str(again) == "what happened"
    assert vars(again) == vars(error)
    assert again.job_ids == ("a", "b")


@each_error
def test_copying(error_type: Type[exc.BananasError]) -> None:
    """A copy carries what the original carries."""
    error = error_type("what happened", job_id="a")
    for again in (copy.copy(error), copy.deepcopy(error)):
        assert type(again) is error_type
        assert (str(again), vars(again)) == (str(error), vars(error))


def test_facts_of_single_errors() -> None:
    """Facts that belong to one error have a default there, and survive pickling."""
    assert exc.TimeoutError("late").whereabouts is None
    assert exc.ServerError("no").code == ""
    assert exc.JobFailedError("no").error == ""
    error = pickle.loads(pickle.dumps(exc.TimeoutError("late", whereabouts="queued")))
    assert error.whereabouts == "queued"
    assert pickle.loads(pickle.dumps(exc.ServerError("no", code="OOM"))).code == "OOM"
    assert pickle.loads(pickle.dumps(exc.JobFailedError("no", error="boom"))).error == "boom"


def test_builtin_handlers_catch_ours() -> None:
    """Code that knows only the builtin errors catches ours."""
    with pytest.raises(builtins.ConnectionError):
        raise exc.AuthenticationError("no")
    with pytest.raises(builtins.TimeoutError):
        raise exc.TimeoutError("late")
    with pytest.raises(ValueError, match="not JSON"):
        raise exc.SerializationError("not JSON")


def test_an_unknown_outcome_is_no_connection_error() -> None:
    """Whoever submits again after a ``ConnectionError`` must not do so when a job may be queued."""
    assert not issubclass(exc.OutcomeUnknownError, builtins.ConnectionError)


@each_error
def test_other_facts_are_refused(error_type: Any) -> None:
    """A fact that the class does not have, or a misspelt one, is a TypeError."""
    for name in ("whereabout", "codes", "args", "errno", "with_traceback", "_facts", "__notes__"):
        with pytest.raises(TypeError, match=f"{error_type.__name__} has no fact '{name}'"):
            error_type("what happened", **{name: "x"})
    own = FACTS.get(error_type, [])
    for name in {fact for facts in FACTS.values() for fact in facts} - set(own):
        with pytest.raises(TypeError, match="has no fact"):
            error_type("what happened", **{name: "x"})
    for name in own:
        assert getattr(error_type("what happened", **{name: "x"}), name) == "x"


class OrderError(exc.BananasError):
    """A subclass with its own constructor."""

    def __init__(self, order: int) -> None:
        super().__init__(f"order {order} failed", job_id=f"order-{order}")
        self.order = order


class PairError(exc.ConnectionError):
    """One of two arguments, of other types than text."""

    def __init__(self, first: int, second: List[int]) -> None:
        super().__init__("pair", permanent=True)
        self.args = (first, second)


class BareError(exc.SerializationError):
    """One that does not call the constructor of its parent."""

    def __init__(self, one: int, *, two: int) -> None:
        self.both = (one, two)


class FactError(exc.ServerError):
    """One that declares facts of its own, with a default and without."""

    shard: int = 0
    place: str


def emptied() -> exc.BananasError:
    """Return an error whose arguments were taken away."""
    error = exc.TimeoutError("late", whereabouts="queued")
    error.args = ()
    return error


def with_object() -> exc.BananasError:
    """Return an error whose message is no text, as nobody should write it."""
    message: Any = {"n": 1}
    return exc.BananasError(message)


SUBCLASSED = [
    OrderError(7),
    PairError(1, [2]),
    BareError(1, two=2),
    FactError("x", shard=3, place="here", code="OOM"),
    emptied(),
    with_object(),
]


@pytest.mark.parametrize("error", SUBCLASSED, ids=lambda error: type(error).__name__)
def test_subclasses_travel(error: exc.BananasError) -> None:
    """A subclass pickles and copies, whatever its constructor takes and its arguments are."""
    copies: List[exc.BananasError] = [copy.copy(error), copy.deepcopy(error)]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copies.append(pickle.loads(pickle.dumps(error, protocol)))
    for again in copies:
        assert type(again) is type(error)
        assert again.args == error.args
        assert [type(arg) for arg in again.args] == [type(arg) for arg in error.args]
        assert (vars(again), str(again)) == (vars(error), str(error))
        assert (again.job_id, again.job_ids) == (error.job_id, error.job_ids)


@each_error
def test_notes_travel(error_type: Type[exc.BananasError]) -> None:
    """Notes and attributes that somebody added are kept."""
    error: Any = error_type("what happened", job_id="a")
    error.__notes__ = ["while ordering"]
    error.request = 7
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (again.__notes__, again.request) == (["while ordering"], 7)


def test_errors_leave_a_process_pool() -> None:
    """An error of one's own does not break the pool that it comes out of."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        with pytest.raises(OrderError, match="order 7 failed") as caught:
            pool.submit(_fail).result(60)
        assert (caught.value.order, caught.value.job_id) == (7, "order-7")
        assert pool.submit(int, "1").result(60) == 1


def _fail() -> None:
    raise OrderError(7)
