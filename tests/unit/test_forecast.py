"""Forecasts against plain computations, published tables and simulated truth."""

from itertools import combinations
from statistics import median

import numpy as np
import pytest

from rules.forecast import MIN_SAMPLES, SAMPLES, forecast, horizon_of, student_quantile


def columns(*rows):
    """(rows, SAMPLES) times and values of rows of (t, v) pairs."""
    t_s, values = np.full((2, len(rows), SAMPLES), np.nan)
    for i, row in enumerate(rows):
        for k, (t, v) in enumerate(row):
            t_s[i, k], values[i, k] = t, v
    return t_s, values


def look(method, *rows, horizon_s=3600.0, limit=np.nan, confidence=0.9, look_back_s=3600.0):
    count = len(rows)
    return forecast(
        method,
        *columns(*rows),
        horizon_s=np.full(count, horizon_s),
        limit=np.full(count, limit),
        confidence=confidence,
        look_back_s=look_back_s,
    )


def line(slope, at, count=20, span_s=3000.0, noise=None):
    times = np.linspace(-span_s, 0.0, count)
    errors = np.zeros(count) if noise is None else noise
    return [(t, at + slope * t + e) for t, e in zip(times, errors, strict=True)]


@pytest.mark.parametrize(
    ("probability", "freedom", "published"),
    [
        # Abramowitz and Stegun, table 26.10.
        *((0.95, 1, 6.314), (0.975, 2, 4.303), (0.95, 3, 2.353), (0.995, 4, 4.604)),
        *((0.95, 10, 1.812), (0.975, 30, 2.042), (0.9995, 5, 6.869)),
    ],
)
def test_quantiles_are_those_of_the_published_table(probability, freedom, published):
    assert student_quantile(probability, freedom) == pytest.approx(published, abs=6e-4)


def test_least_squares_is_numpys_fit_with_the_interval_of_the_textbook():
    rng = np.random.default_rng(1)
    row = line(-0.002, 50.0, noise=rng.normal(0, 0.5, 20))
    found = look("linear", row, horizon_s=1800.0)
    t, v = np.array(row).T
    slope, at = np.polyfit(t, v, 1)
    rest = v - (at + slope * t)
    s = np.sqrt((rest**2).sum() / 18)
    half = 1.734064 * s * np.sqrt(1 + 1 / 20 + (1800 - t.mean()) ** 2 / ((t - t.mean()) ** 2).sum())
    assert found.value[0] == pytest.approx(at + slope * 1800, rel=1e-12)
    assert found.per_h[0] == pytest.approx(slope * 3600, rel=1e-9)
    assert found.high[0] - found.value[0] == pytest.approx(half, rel=1e-6)
    assert found.value[0] - found.low[0] == pytest.approx(half, rel=1e-6)
    assert found.samples[0] == 20


def test_the_robust_trend_is_the_median_of_all_slopes_and_wrong_samples_hardly_move_it():
    rng = np.random.default_rng(2)
    row = line(0.01, 5.0, noise=rng.normal(0, 1, 20))
    for k in (3, 7, 11, 15):
        row[k] = (row[k][0], 900.0)
    found = look("robust", row)
    slopes = [(v1 - v0) / (t1 - t0) for (t0, v0), (t1, v1) in combinations(row, 2)]
    slope = median(slopes)
    at = median(v - slope * t for t, v in row)
    assert found.per_h[0] == pytest.approx(slope * 3600, rel=1e-12)
    assert found.value[0] == pytest.approx(at + slope * 3600, rel=1e-12)
    assert abs(found.value[0] - 41.0) < 5
    assert abs(look("linear", row).value[0] - 41.0) > 50


@pytest.mark.parametrize("method", ["linear", "robust"])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(method, confidence):
    rng = np.random.default_rng(3)
    rows = [line(0.004, 20.0, noise=rng.normal(0, 1, 20)) for _ in range(1500)]
    found = look(method, *rows, horizon_s=600.0, confidence=confidence)
    truth = 22.4 + rng.normal(0, 1, len(rows))
    share = np.mean((found.low <= truth) & (truth <= found.high))
    assert share == pytest.approx(confidence, abs=0.05)


@pytest.mark.parametrize("method", ["linear", "robust"])
def test_the_first_touch_of_the_limit_is_where_the_nearer_edge_meets_it(method):
    rng = np.random.default_rng(4)
    rows = [
        line(slope, 50.0, noise=rng.normal(0, size, 20))
        for slope in (-0.01, -0.002, 0.0, 0.003, 0.02)
        for size in (0.001, 0.3, 2.0)
    ]
    # Walk the edges in steps of 16 s: the interval at each time is the forecast to there.
    steps = np.arange(0.0, 7200.1, 16.0)
    t_s, values = (np.repeat(column, len(steps), axis=0) for column in columns(*rows))
    horizon_s = np.tile(steps, len(rows))
    nothing = np.full(len(horizon_s), np.nan)
    walked = forecast(
        method,
        t_s,
        values,
        horizon_s=horizon_s,
        limit=nothing,
        confidence=0.9,
        look_back_s=3600.0,
    )
    low, high, now = (
        getattr(walked, name).reshape(len(rows), -1) for name in ("low", "high", "value")
    )
    for limit in (30.0, 49.0, 50.0, 51.0, 80.0):
        found = look(method, *rows, horizon_s=7200.0, limit=limit)
        meets = np.where(now[:, :1] >= limit, low <= limit, high >= limit)
        first = np.where(meets.any(axis=1), steps[meets.argmax(axis=1)], np.inf)
        both = np.isfinite(first) & np.isfinite(found.reaches_s)
        assert (np.isfinite(first) == np.isfinite(found.reaches_s)).all()
        assert both.any()
        assert (found.reaches_s[both] <= first[both] + 1e-6).all()
        assert (found.reaches_s[both] > first[both] - 16.0 - 1e-6).all()


def test_a_line_without_any_spread_reaches_its_limit_on_time():
    for method in ("linear", "robust"):
        found = look(method, line(-0.004, 57.6), horizon_s=86_400.0, limit=20.0)
        assert found.reaches_s[0] == pytest.approx(9400.0, rel=1e-6)


def test_too_little_tells_nothing():
    few = line(0.0, 1.0, count=MIN_SAMPLES - 1)
    short = line(0.0, 1.0, span_s=800.0)
    nothing = look("linear", few, short, line(0.0, 1.0))
    assert np.isnan(nothing.value).tolist() == [True, True, False]
    assert nothing.samples.tolist() == [4.0, 20.0, 20.0]
    gone = look("robust", line(0.0, 1.0), horizon_s=np.nan, limit=3.0)
    assert np.isnan(gone.value[0])
    assert np.isnan(gone.reaches_s[0])


@pytest.mark.parametrize("method", ["linear", "robust"])
def test_an_answer_is_the_same_to_the_bit_whatever_comes_with_it(method):
    rng = np.random.default_rng(5)
    rows = [
        line(0.01, 9.0, count=int(n), noise=rng.normal(0, 1, n)) for n in rng.integers(5, 34, 40)
    ]
    whole = look(method, *rows, limit=30.0)
    for i, row in enumerate(rows):
        alone = look(method, row, limit=30.0)
        for name in ("value", "low", "high", "per_h", "reaches_s"):
            assert repr(getattr(alone, name)[0]) == repr(getattr(whole, name)[i])


def test_horizons_end_where_the_plan_says_and_nothing_is_seen_behind():
    found = horizon_of(3600.0, np.array([np.nan, 100.0, 9999.0, np.inf, 0.0, -1.0]))
    assert found[:5].tolist() == [3600.0, 100.0, 3600.0, 3600.0, 0.0]
    assert np.isnan(found[5])
