import pytest
from tests.study.conftest import make_study
from tests.study.test_comparison import compared

from gonogo.study import tables
from gonogo.study.design import Metric, Trial


def variant(level, correlation=0.5, **fields):
    def train(seed):
        return Trial(
            metrics={"accuracy": level + seed / 100, "correlation": correlation},
            views={"without audio": {"accuracy": level - 0.3, "correlation": correlation}},
            curves={"training loss": ((0, 1.0), (10, level + seed))},
            cpu_seconds=2.0,
            memory=3 << 20,
            parameters=10,
        )

    return train


@pytest.fixture
def comparison():
    variants = {"ours": variant(0.9), "weak": variant(0.6), "constant": variant(0.5, None)}
    metrics = (Metric("accuracy"), Metric("correlation"))
    return compared(make_study(variants=variants, metrics=metrics, constant="constant"))


@pytest.mark.requirement("MAFT-6.2")
def test_the_overview_has_metrics_with_intervals_time_size_and_memory(comparison):
    table = tables.overview(comparison)
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["accuracy"] == "0.91 (0.885 to 0.935)"
    assert (row["CPU seconds"], row["parameters"], row["memory, MiB"], row["seeds"]) == ("2", 10, "3", "3 of 3")


def test_an_undefined_metric_is_called_so(comparison):
    assert tables.overview(comparison).rows[2][2] == "undefined"
    assert tables.numbers(comparison).rows[2][4:7] == (None, None, None)


@pytest.mark.requirement("MAFT-10.3")
def test_bars_carry_their_intervals(comparison):
    table = tables.bars(comparison, comparison.study.metrics[0])
    assert (table.kind, table.columns) == ("bar", ("variant", "accuracy", "low", "high"))
    assert table.rows[0][1:] == pytest.approx((0.91, 0.8852, 0.9348), abs=1e-4)


def test_the_constant_answer_stands_beside_every_condition(comparison):
    table = tables.views(comparison, comparison.study.metrics[0])
    assert table.columns == ("variant", "as trained", "without audio", "")
    assert table.rows[-1][0] == "constant"
    assert table.rows[-1][-1] == "answers without looking"


def test_what_is_worse_than_a_constant_answer_beyond_noise_is_told():
    levels = {"ours": (0.40, 0.41, 0.39), "noisy": (0.30, 0.60, 0.45), "constant": (0.5, 0.5, 0.5)}
    variants = {name: (lambda seed, of=of: Trial(metrics={"accuracy": of[seed]})) for name, of in levels.items()}
    table = tables.worse_than_constant(compared(make_study(variants=variants, constant="constant")))
    assert [row[:3] for row in table.rows] == [("ours", "as trained", "accuracy")]
    assert table.rows[0][4] == "-0.1 (-0.125 to -0.0752)"


@pytest.mark.requirement("MAFT-10.3")
def test_curves_of_all_variants_share_a_picture_of_their_means(comparison):
    (table,) = tables.curves(comparison)
    assert (table.kind, table.columns) == ("line", ("step", "ours", "weak", "constant"))
    assert table.rows[1] == (10, pytest.approx(1.9), pytest.approx(1.6), pytest.approx(1.5))


def test_tables_without_rows_are_left_out(comparison):
    assert "What else differed" not in [table.title for table in tables.all_tables(comparison)]
