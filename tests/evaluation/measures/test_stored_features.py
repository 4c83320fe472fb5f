import numpy as np
import pytest

from diff2lip_diffusers.evaluation.aligned_frames import NotMeasurable
from diff2lip_diffusers.evaluation.measures import stored_features
from diff2lip_diffusers.evaluation.measures.stored_features import (
    OUTPUT,
    REFERENCE,
    ReferenceFeatures,
    StoredFeatures,
    features_file,
    features_place,
    write_features,
)


@pytest.fixture
def table(tmp_path):
    """Vectors in three files, and the files; a fourth is missing."""
    vectors = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float32)
    places = [features_place(tmp_path, name) for name in ("a", "b", "c", "none")]
    for place, part in zip(places, np.split(vectors, [5, 6]), strict=False):
        write_features(place, "fid", list(part), list(-part))
    return vectors, places


def test_vectors_of_all_files_are_one_table(table):
    vectors, places = table
    for side, sign in ((OUTPUT, 1), (REFERENCE, -1)):
        stored = StoredFeatures([features_file(place, "fid", side) for place in places])
        assert (len(stored), stored.size) == (11, 4)
        for numbers in ([10, 0, 5, 4, 7, 0], [5], [], range(11)):
            wanted = np.array(numbers, int)
            np.testing.assert_array_equal(stored.rows(wanted), sign * vectors[wanted])


def test_batches_cross_files(table, monkeypatch):
    monkeypatch.setattr(stored_features, "BATCH_ROWS", 4)
    stored = StoredFeatures([features_file(place, "fid", OUTPUT) for place in table[1]])
    batches = list(stored.batches())
    assert [len(batch) for batch in batches] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate(batches), table[0])


def test_no_files_are_an_empty_table(tmp_path):
    stored = StoredFeatures([tmp_path / "none.npy"])
    assert (len(stored), list(stored.batches())) == (0, [])


@pytest.mark.parametrize("system", ["../../up", "a/b", "with.dot", "ü <b>", ".."])
def test_files_of_any_system_stay_in_the_folder(tmp_path, system):
    place = features_place(tmp_path, system)
    assert features_file(place, "fid", OUTPUT).parent == tmp_path
    assert place != features_place(tmp_path, "other")


def test_features_that_are_not_finite_are_refused(tmp_path):
    vector = np.array([1, np.nan])
    with pytest.raises(NotMeasurable, match="features for fvd are not finite"):
        write_features(tmp_path / "a", "fvd", [vector], [vector])
    assert list(tmp_path.iterdir()) == []


def test_features_of_a_reference_are_computed_once(tmp_path):
    known, calls = ReferenceFeatures(), []

    def compute():
        calls.append(1)
        return np.zeros(1)

    for reference in ("a", "a", "b", "a"):
        known.get(tmp_path / reference, "first", compute)
    assert len(calls) == 3
