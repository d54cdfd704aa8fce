"""The detectors for Python: scikit-learn's conventions for outliers, arrays and frames, model files."""

import inspect
import pickle

import numpy as np
import pytest

from plugrad.errors import ModelFileError
from plugrad_anomaly import TabularAnomalyDetector

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402
from sklearn.utils import estimator_checks as checks  # noqa: E402

# The checks that scikit-learn runs on its own outlier detectors, and those for any estimator that apply to a class
# that is not one of its subclasses.
CHECKS = [
    "check_outliers_train",
    "check_outlier_contamination",
    "check_outliers_fit_predict",
    "check_estimators_dtypes",
    "check_fit_score_takes_y",
    "check_estimators_fit_returns_self",
    "check_dtype_object",
    "check_estimators_empty_data_messages",
    "check_pipeline_consistency",
    "check_estimators_overwrite_params",
    "check_estimator_sparse_tag",
    "check_estimators_pickle",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_fit2d_1sample",
    "check_fit2d_1feature",
    "check_get_params_invariance",
    "check_set_params",
    "check_dict_unchanged",
    "check_fit_idempotent",
    "check_fit_check_is_fitted",
    "check_n_features_in",
    "check_fit1d",
    "check_fit2d_predict1d",
    "check_estimators_unfitted",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_complex_data",
    "check_dont_overwrite_attributes",
    "check_n_features_in_after_fitting",
    "check_dataframe_column_names_consistency",
    "check_readonly_memmap_input",
]


@pytest.mark.parametrize("name", CHECKS)
def test_conventions_of_scikit_learn(name):
    check = getattr(checks, name, None)
    if check is None:
        pytest.skip(f"scikit-learn {sklearn.__version__} has no {name}")
    own = {"readonly_memmap": True} if "readonly_memmap" in inspect.signature(check).parameters else {}
    check("TabularAnomalyDetector", TabularAnomalyDetector(), **own)


def rows_with_outliers(seed=0):
    """300 rows whose third column is the sum of the others, 15 where it is not."""
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(300, 3))
    rows[:, 2] = rows[:, 0] + rows[:, 1]
    rows[:15] = draw.normal(size=(15, 3)) * 4
    return rows, np.arange(300) < 15


def test_outliers_are_found_and_explained():
    rows, odd = rows_with_outliers()
    detector = TabularAnomalyDetector(contamination=0.05).fit(rows)
    assert roc_auc_score(odd, -detector.score_samples(rows)) > 0.9
    assert (detector.predict(rows) == -1).sum() == 15
    assert (detector.fit_predict(rows) == detector.predict(rows)).all()
    assert np.array_equal(detector.decision_function(rows), detector.score_samples(rows) - detector.offset_)
    worst = int(detector.score_samples(rows).argmin())
    (reasons,) = detector.explain(rows, [worst])
    assert reasons[0]["field"].startswith("column ")


def test_normal_rows_alone_find_a_broken_relation():
    draw = np.random.default_rng(0)
    rows = draw.uniform(0, 10, size=(2000, 3))
    rows[:, 2] = rows[:, 0] + rows[:, 1] + draw.normal(size=2000) * 0.05
    detector = TabularAnomalyDetector(novelty=True, contamination=0.001).fit(rows)
    new = np.array([[3.0, 4.0, 7.0], [3.0, 4.0, 12.0], [8.0, 8.0, 16.0]])
    assert detector.predict(new).tolist() == [1, -1, 1]


def test_frames_with_texts_dates_and_gaps(tmp_path):
    pandas = pytest.importorskip("pandas")
    count = 400
    frame = pandas.DataFrame({
        "when": pandas.date_range("2024-01-01", periods=count, freq="h", tz="Europe/Berlin"),
        "speed": np.random.default_rng(0).normal(100, 5, count),
        "mode": pandas.Series(["idle", "run"] * (count // 2), dtype="category"),
        "whole": pandas.array([None if i % 50 == 0 else i % 7 for i in range(count)], dtype="Int64"),
    })  # fmt: skip
    detector = TabularAnomalyDetector(novelty=True).fit(frame)
    assert detector.feature_names_in_.tolist() == list(frame.columns)
    new = frame.copy()
    new["mode"] = new["mode"].astype(object)
    new.loc[7, "mode"], new.loc[9, "speed"] = "turbo", 900.0
    assert set(np.argsort(detector.score_samples(new))[:2]) == {7, 9}
    seven, nine = detector.explain(new, [7, 9])
    assert seven[0]["text"] == "mode 'turbo' was never seen"
    assert nine[0]["text"].startswith("speed 900, normally ")
    detector.save(tmp_path / "m")
    again = TabularAnomalyDetector.load(tmp_path / "m")
    assert again.score_samples(new).tobytes() == detector.score_samples(new).tobytes()
    assert again.get_params() == {**detector.get_params(), "random_state": 0}
    with pytest.raises(ValueError, match="feature names should match"):
        again.predict(new[["speed", "when", "mode", "whole"]])


def test_what_is_no_table_is_refused(tmp_path):
    rows, _ = rows_with_outliers()
    with pytest.raises(NotFittedError):
        TabularAnomalyDetector().predict(rows)
    with pytest.raises(ValueError, match="contamination must be"):
        TabularAnomalyDetector(contamination=0.7).fit(rows)
    with pytest.raises(ValueError, match="random_state must be"):
        TabularAnomalyDetector(random_state=-1).fit(rows)
    with pytest.raises(ValueError, match="no parameter 'colour'"):
        TabularAnomalyDetector().set_params(colour=1)
    with pytest.raises(ValueError, match="infinity"):
        TabularAnomalyDetector().fit(np.where(rows == rows[0, 0], np.inf, rows))
    with pytest.raises(ValueError, match="expecting 3 features"):
        TabularAnomalyDetector().fit(rows).predict(rows[:, :2])
    (tmp_path / "m").write_bytes(b"no model")
    with pytest.raises(ModelFileError):
        TabularAnomalyDetector.load(tmp_path / "m")


def test_it_can_be_copied_and_pickled():
    rows, _ = rows_with_outliers()
    detector = TabularAnomalyDetector(contamination=0.1, random_state=3)
    assert repr(clone(detector)) == "TabularAnomalyDetector(contamination=0.1, random_state=3)"
    fitted = detector.fit(rows)
    again = pickle.loads(pickle.dumps(fitted))
    assert again.score_samples(rows).tobytes() == fitted.score_samples(rows).tobytes()


def test_a_model_of_arrays_that_was_changed_is_refused(tmp_path):
    from plugrad import model_file

    rows, _ = rows_with_outliers()
    TabularAnomalyDetector().fit(rows).save(tmp_path / "m")
    file = model_file.read(tmp_path / "m")
    file.metadata["state"]["columns"][0][1] = "category"
    model_file.write(tmp_path / "other", dict(file.tensors), file.metadata)
    with pytest.raises(ModelFileError, match="damaged"):
        TabularAnomalyDetector.load(tmp_path / "other")
