"""Stability of every input, month by month: the index of each is that of `psi`, missing is a bin, engines agree."""

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from xray_analytics.analysis import validation as v
from xray_analytics.errors import InputError

RNG = np.random.default_rng(51)
ROWS = pd.DataFrame({
    "as_of_date": np.repeat(pd.to_datetime(["2025-01-31", "2025-02-28", "2025-03-31"]).astype("datetime64[us]"), 400),
    "x": np.where(RNG.random(1200) < 0.1, np.nan, RNG.normal(size=1200) + np.repeat([0, 0, 1.0], 400)),
    "word": RNG.choice(["a", "b", None], 1200, p=[0.5, 0.4, 0.1]),
})  # fmt: skip


def test_characteristic_stability__is_the_psi_of_the_bins_and_finds_the_month_that_moved():
    found = v.characteristic_stability(ROWS, ["x", "word"], development=ROWS.head(400))
    assert len(found) == 2 * (2 + 3 + 3)
    row = found[(found["feature"] == "x") & (found["period"] == "2025-03-31") & (found["against"] == "development")]
    edges = found.attrs["base"]["filters"]["edges"]["x"]
    assert len(edges) == 9
    sides = []
    for month in ("2025-01-31", "2025-03-31"):
        values = ROWS.loc[ROWS["as_of_date"] == month, "x"]
        bins = pd.cut(values, [-np.inf, *edges, np.inf]).value_counts(sort=False)
        sides.append([*bins.tolist(), int(values.isna().sum())])
    expected = v.psi(*sides, floor=1e-4)
    assert row["psi"].item() == pytest.approx(expected.value, rel=1e-12)
    assert row["p_value_holm"].item() < 1e-6
    assert row["n_missing"].item() == sides[1][-1]
    quiet = found[
        (found["feature"] == "word") | (found["period"] == "2025-02-28") & (found["against"] == "development")
    ]
    assert (quiet["p_value_holm"] > 0.01).all()
    words = found[(found["feature"] == "word") & (found["against"] == "previous")]
    assert words["n_bins"].tolist() == [3, 3]


def test_characteristic_stability__engines_order_and_one_bin():
    expected = v.characteristic_stability(ROWS, ["x", "word"])
    shuffled = ROWS.sample(frac=1, random_state=2)
    arrow = pa.Table.from_pandas(shuffled, preserve_index=False)
    for other in (shuffled, arrow, duckdb.from_arrow(arrow)):
        pd.testing.assert_frame_equal(v.characteristic_stability(other, ["x", "word"]), expected, check_dtype=False)
    one = v.characteristic_stability(ROWS.assign(x="same"), ["x"])
    assert one["psi"].isna().all()
    assert set(one["n_bins"]) == {1}
    nothing = v.characteristic_stability(ROWS.assign(x=np.nan), ["x"])
    assert (nothing["n_missing"] == 400).all()


def test_characteristic_stability__refused():
    for call, reason in (
        (lambda: v.characteristic_stability(ROWS, ["y"]), "y"),
        (lambda: v.characteristic_stability(ROWS, []), "0 features"),
        (lambda: v.characteristic_stability(ROWS, ["x"], bins=1), "bins is 1"),
        (lambda: v.characteristic_stability(ROWS.head(0), ["x"]), "there is no row"),
        (lambda: v.characteristic_stability(ROWS.assign(as_of_date=pd.NaT), ["x"]), "has no as_of_date"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=reason):
            call()
