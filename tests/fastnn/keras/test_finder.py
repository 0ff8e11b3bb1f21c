"""What ``import keras`` and ``import tensorflow`` lead to, and what they refuse. Each program runs in a process of its own."""

import pytest


def test_modules_and_names_are_fastnns_own(run_python):
    run_python(
        """
        import fastnn, fastnn.keras
        fastnn.keras.install()
        import keras, tensorflow as tf
        from keras.layers import Dense, Input
        from keras.utils import np_utils, to_categorical
        from tensorflow.keras.models import Sequential
        from tensorflow import keras as tf_keras
        import tensorflow.keras.backend as K
        assert Dense is fastnn.layers.Dense and Input is fastnn.Input
        assert keras.Sequential is Sequential is tf_keras.Sequential is tf.keras.models.Sequential is fastnn.Sequential
        assert np_utils.to_categorical is to_categorical is fastnn.utils.to_categorical
        assert tf.nn.relu is fastnn.activations.relu and tf.nn.softmax is keras.activations.softmax
        assert K.epsilon() == 1e-7
        assert "Dense" in dir(keras.layers)
        """
    )


def test_a_star_import_brings_the_public_names(run_python):
    run_python(
        """
        import fastnn.keras; fastnn.keras.install()
        from keras.utils import *
        assert to_categorical([1]).tolist() == [[0, 1]]
        """
    )


def test_versions_name_what_is_followed_and_who_answers(run_python):
    out = run_python(
        "import fastnn.keras; fastnn.keras.install(); import keras, tensorflow; print(keras.__version__, tensorflow.__version__)"
    )
    keras_version, tensorflow_version = out.split()
    assert keras_version.startswith("3.")
    assert tensorflow_version.startswith("2.")
    assert "+fastnn." in keras_version
    assert "+fastnn." in tensorflow_version


@pytest.mark.parametrize(
    ("statement", "error", "text"),
    [
        ("from keras.layers import LSTM", "ImportError", "keras.layers.LSTM is not covered by fastnn"),
        ("from keras.layers import Dence", "ImportError", "Did you mean 'Dense'?"),
        ("import keras.preprocessing.text", "ImportError", "keras.preprocessing is not covered"),
        ("import keras; keras.layers.LSTM", "AttributeError", "keras.layers.LSTM is not covered"),
        ("import tensorflow as tf; tf.GradientTape()", "AttributeError", "tensorflow.GradientTape is not covered"),
        ("import tensorflow.compat.v1", "ImportError", "tensorflow.compat is not covered"),
        ("from tensorflow.keras.applications import VGG16", "ImportError", "tensorflow.keras.applications is not covered"),
    ],
)
def test_what_is_not_covered_is_refused_by_name(run_python, statement, error, text):
    out = run_python(
        f"""
        import fastnn.keras
        fastnn.keras.install()
        try:
            exec({statement!r})
        except {error} as refusal:
            print(refusal)
        """
    )
    assert text in out


def test_a_refusal_lists_what_programs_use_and_no_machinery(run_python):
    out = run_python(
        """
        import fastnn.keras; fastnn.keras.install()
        import keras
        for module in (keras.layers, keras.losses, keras.metrics, keras.utils, keras.config, keras.datasets.digits):
            try:
                module.nothing
            except AttributeError as refusal:
                print(str(refusal).split(" has: ")[1])
        """
    )
    lists = [line.rstrip(".").split(", ") for line in out.splitlines()]
    assert lists[0] == ["Activation", "Dense", "Dropout", "Flatten", "Input", "InputLayer", "Layer", "LeakyReLU", "ReLU", "Softmax"]
    assert lists[-1] == ["load_data"]
    machinery = {"core", "deserialize", "get", "np_utils", "resolve", "serialize", "Any", "annotations", "near_matches"}
    assert not machinery.intersection(name for names in lists for name in names)


def test_a_name_of_an_old_module_is_refused_as_that_of_todays(run_python):
    out = run_python(
        """
        import fastnn.keras; fastnn.keras.install()
        try:
            from keras.layers.core import Permute
        except ImportError as refusal:
            print(refusal)
        """
    )
    assert "keras.layers.Permute is not covered by fastnn yet" in out


def test_hasattr_says_no_for_what_is_not_covered(run_python):
    run_python("import fastnn.keras; fastnn.keras.install(); import keras; assert not hasattr(keras.layers, 'LSTM')")


@pytest.mark.parametrize("name", ["keras", "tensorflow"])
def test_it_refuses_when_the_real_one_is_imported(run_python, tmp_path, name):
    (tmp_path / f"{name}.py").write_text("")
    out = run_python(
        f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import {name}, fastnn.keras
        try:
            fastnn.keras.install()
        except ImportError as refusal:
            print(refusal)
        assert not any("Keras" in type(finder).__name__ for finder in sys.meta_path)
        """
    )
    assert f"{name} is already imported" in out
    assert "%load_ext fastnn.keras" in out


def test_uninstall_gives_the_names_back(run_python, tmp_path):
    (tmp_path / "keras.py").write_text("real = True")
    run_python(
        f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import fastnn.keras
        fastnn.keras.install(); fastnn.keras.install()
        import keras.utils
        fastnn.keras.uninstall()
        import keras
        assert keras.real
        """
    )


def test_packages_with_similar_names_are_left_alone(run_python, tmp_path):
    (tmp_path / "tensorflow_of_ours.py").write_text("real = True")
    run_python(
        f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import fastnn.keras; fastnn.keras.install()
        import tensorflow_of_ours
        assert tensorflow_of_ours.real
        """
    )


def test_tensorflow_s_switch_for_tensorfloat32(run_python):
    out = run_python(
        """
        import fastnn.keras; fastnn.keras.install()
        import tensorflow as tf
        print(tf.config.experimental.tensor_float_32_execution_enabled())
        tf.config.experimental.enable_tensor_float_32_execution(True)
        print(tf.config.experimental.tensor_float_32_execution_enabled(), __import__("fastnn").config.matmul_precision())
        """
    )
    assert out.split() == ["False", "True", "tensorfloat32"]
