import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from tests.study.conftest import drawn, make_study

from gonogo.errors import ProfileError
from gonogo.study import trials
from gonogo.study.design import Trial
from gonogo.study.record import NAME

HERE = Path(__file__).parent


def load():
    return make_study(seeds=(0, 1))


def diverged(seed):
    raise ValueError(f"diverged with seed {seed}")


def vanished(seed):
    print("last words", flush=True)
    os._exit(7)


def hungry(seed):
    return {"accuracy": float(len(bytearray(80 << 20)) > 0)}


def broken():
    return make_study(variants={"ours": drawn(0.9), "bad": diverged, "gone": vanished}, seeds=(0,))


def greedy():
    return make_study(variants={"ours": drawn(0.9), "hungry": hungry}, seeds=(0,))


@pytest.mark.parametrize("jobs", [0, 2])
def test_every_variant_meets_every_seed(tmp_path, jobs):
    study, done = trials.run(load, tmp_path, jobs=jobs)
    assert list(done) == [(name, seed) for seed in (0, 1) for name in study.variants]
    assert done["weak", 1].metrics == study.variants["weak"](1).metrics


def test_a_process_measures_the_time_and_the_memory_of_its_trial_alone(tmp_path):
    _, done = trials.run(greedy, tmp_path)
    assert done["ours", 0].memory < 40 << 20 < done["hungry", 0].memory
    assert done["hungry", 0].seconds > 0


def test_a_trial_that_raises_or_dies_costs_itself_alone(tmp_path):
    _, done = trials.run(broken, tmp_path)
    assert not done["ours", 0].failure
    assert "ValueError: diverged with seed 0" in done["bad", 0].failure
    assert "exit code 7" in done["gone", 0].failure
    assert (tmp_path / "logs" / "gone-0.log").read_text() == "last words\n"


def test_a_plain_mapping_of_metrics_is_a_trial():
    assert trials.measured(lambda seed: {"accuracy": 0.5}, 0).metrics == {"accuracy": 0.5}


def test_more_seeds_may_be_asked_of_a_study_and_only_they_are_trained(tmp_path):
    trials.run(load, tmp_path, jobs=0)
    started = []
    _, done = trials.run(
        load, tmp_path, jobs=0, seeds=3, resume=True, listen=lambda key, trial: trial or started.append(key)
    )
    assert len(done) == 9
    assert {seed for _, seed in started} == {2}


def test_what_failed_is_tried_again(tmp_path):
    trials.run(broken, tmp_path, jobs=1)
    started = []
    trials.run(broken, tmp_path, jobs=1, resume=True, listen=lambda key, trial: trial or started.append(key[0]))
    assert started == ["bad", "gone"]


def test_a_torn_line_is_left_out(tmp_path):
    trials.run(load, tmp_path, jobs=0)
    path = tmp_path / NAME
    path.write_text(path.read_text()[:-40])
    started = []
    trials.run(load, tmp_path, jobs=0, resume=True, listen=lambda key, trial: trial or started.append(key))
    assert started == [("strong", 1)]


def other():
    return make_study(seeds=(0, 1), identity={"model.width": 64})


def test_the_record_of_other_settings_is_refused_with_the_one_that_differs(tmp_path):
    trials.run(load, tmp_path, jobs=0)
    with pytest.raises(ProfileError, match="its lr is None, now it is 1"):
        trials.run(load, tmp_path, jobs=0, resume=True, settings={"lr": 1})
    with pytest.raises(ProfileError, match=r"its model\.width is None, now it is 64"):
        trials.run(other, tmp_path, jobs=0, resume=True)


def test_nothing_to_resume_is_told(tmp_path):
    with pytest.raises(ProfileError, match=r"there is no .*give the folder of the study"):
        trials.run(load, tmp_path / "none", jobs=0, resume=True)


def test_the_record_is_strict_json_without_secrets(tmp_path):
    trials.run(load, tmp_path, jobs=0, settings={"api_key": "abcdef123456"})
    text = (tmp_path / NAME).read_text()
    assert "abcdef123456" not in text
    assert all(json.loads(line) for line in text.splitlines())


def slow(seed, path):
    path.write_text(str(os.getpid()))
    time.sleep(60)
    return Trial(metrics={"accuracy": 1.0})


def sleeping(path):
    return make_study(variants={"ours": partial(slow, path=path)}, seeds=(0,))


STUDY = """
import sys
from functools import partial
from pathlib import Path
from tests.study import test_trials as tests

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tests.trials.run(partial(tests.sleeping, folder / "pid"), folder)
"""


def test_a_killed_study_takes_its_training_with_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(STUDY)
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    study = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment)
    pid = _when_there(tmp_path / "pid")
    study.kill()
    study.wait()
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def _when_there(path):
    end = time.monotonic() + 30
    while not (path.is_file() and path.read_text()) and time.monotonic() < end:
        time.sleep(0.05)
    return int(path.read_text())
