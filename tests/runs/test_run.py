"""The life of a run: which status its folder has, and what is left in it."""

import pytest

from thalweg.runs import (
    CHECKPOINT,
    Run,
    check_precision,
    complete,
    read_complete,
    read_record,
    read_unfinished,
    request_to_resume,
)


class AgainError(Exception):
    """Ends a block, but no run."""


def run_in(folder, **facts):
    return Run("toy", {"steps": 3}, folder, {"note": 1}, **facts)


def test_a_run_in_memory_writes_nothing(tmp_path):
    run = run_in(None)
    with run.going():
        run.write("interrupted")
    assert run.checkpoint is None and run.seconds >= 0
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_running_then_complete(tmp_path):
    run = run_in(tmp_path / "run", extra=2)
    with run.going():
        record = read_record(run.folder)
        assert record["status"] == "running"
        assert record["request"] == {"steps": 3} and record["notes"] == {"note": 1}
        assert record["extra"] == 2 and record["environment"]["x64"] is True
        run.checkpoint.write_bytes(b"half")
        (run.folder / "history.json").write_text("{}")
        complete(run.folder, run.record, "history.json", "draws.safetensors")
    found = read_complete(run.folder, "toy")
    assert found["status"] == "complete"
    assert list(found["contents"]) == ["history.json"]
    assert not run.checkpoint.exists()
    (run.folder / "history.json").write_text("[]")
    with pytest.raises(ValueError, match="damaged or of another run"):
        read_complete(run.folder, "toy")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, MemoryError])
def test_a_run_that_is_stopped_can_go_on(tmp_path, error):
    run = run_in(tmp_path / "run")
    with pytest.raises(error), run.going():
        raise error
    record = read_unfinished(run.folder, "toy")
    assert record["status"] == "interrupted"
    assert request_to_resume(run.folder, record, ("steps",)) == {"steps": 3}
    with run_in(run.folder, fresh=False).going():
        assert read_record(run.folder)["status"] == "running"


def test_a_run_that_fails_before_it_has_learned_leaves_no_folder(tmp_path):
    with pytest.raises(TypeError), run_in(tmp_path / "parent" / "run").going():
        raise TypeError
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_with_a_checkpoint_is_marked(tmp_path):
    run = run_in(tmp_path / "run")
    with pytest.raises(TypeError), run.going():
        (run.folder / CHECKPOINT).write_bytes(b"half")
        raise TypeError
    assert read_record(run.folder)["status"] == "failed"


def test_an_exception_that_passes_ends_no_run(tmp_path):
    run = run_in(tmp_path / "run")
    with pytest.raises(AgainError), run.going(AgainError):
        raise AgainError
    assert read_record(run.folder)["status"] == "running"
    with run.going(AgainError):  # the folder is its own: it is not opened again
        pass


def test_a_folder_that_is_taken_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(ValueError, match="is not empty"), run_in(tmp_path).going():
        raise AssertionError("the block must not be entered")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_runs_of_another_status_or_job_are_refused(tmp_path):
    run = run_in(tmp_path / "run")
    with run.going():
        pass
    with pytest.raises(ValueError, match="is not finished; go on with: thalweg resume"):
        read_complete(run.folder, "toy")
    for read in (read_complete, read_unfinished):
        with pytest.raises(ValueError, match="is a run of another job: 'toy'"):
            read(run.folder, "infer")
    complete(run.folder, run.record)
    assert read_unfinished(run.folder, "toy") is None


def test_the_precision_and_the_request_of_a_run_are_checked(tmp_path):
    check_precision(tmp_path, {"environment": {"x64": True}})
    record = {"request": {"steps": 3}, "environment": {"x64": False}}
    with pytest.raises(ValueError, match="was run with JAX_ENABLE_X64=0"):
        request_to_resume(tmp_path, record, ("steps",))
    with pytest.raises(ValueError, match="is damaged: KeyError"):
        request_to_resume(tmp_path, record, ("draws",))
