"""The error tree: who is whose parent, what errors carry, that they travel."""

from __future__ import annotations

import builtins
import copy
import pickle
from typing import Any, List, Type

import pytest

from bananas import exceptions as exc

TREE = {
    exc.BananasError: (Exception,),
    exc.ConnectionError: (exc.BananasError, builtins.ConnectionError, OSError),
    exc.AuthenticationError: (exc.ConnectionError, builtins.ConnectionError),
    exc.OutcomeUnknownError: (exc.ConnectionError, builtins.ConnectionError),
    exc.TimeoutError: (exc.BananasError, builtins.TimeoutError),
    exc.ServerError: (exc.BananasError,),
    exc.JobRejectedError: (exc.ServerError,),
    exc.JobNotFoundError: (exc.BananasError,),
    exc.ResultNotFoundError: (exc.BananasError,),
    exc.JobFailedError: (exc.BananasError,),
    exc.JobExistsError: (exc.BananasError,),
    exc.SerializationError: (exc.BananasError, ValueError),
    exc.ClientClosedError: (exc.BananasError,),
}
ERRORS: List[Type[exc.BananasError]] = list(TREE)
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
    error = error_type(
        "what happened", job_id="a", job_ids=("a", "b"), submitted=("c",), code="NOPERM"
    )
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
        raise exc.OutcomeUnknownError("the reply was lost", job_id="a")
    with pytest.raises(builtins.TimeoutError):
        raise exc.TimeoutError("late")
    with pytest.raises(ValueError, match="not JSON"):
        raise exc.SerializationError("not JSON")
