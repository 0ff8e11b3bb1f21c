"""Names of Keras 3.15 (and old ones that lessons still use) that fastnn does not have yet: what errors can say about them."""

from __future__ import annotations

_NAMES = {
    "": """Function InputSpec Operation Regularizer applications constraints device distribution export
        name_scope ops preprocessing quantizers regularizers saving tree wrappers StatelessScope""",
    "activations": """celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh log_sigmoid log_softmax
        mish relu6 selu silu soft_shrink softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh_shrink
        threshold""",
    "backend": """backend cast get_uid get_value int_shape is_float_dtype is_int_dtype is_keras_tensor mean result_type
        set_epsilon set_image_data_format set_value square standardize_dtype sum variable""",
    "callbacks": """BackupAndRestore CSVLogger LearningRateScheduler ModelCheckpoint OrbaxCheckpoint ProgbarLogger
        ReduceLROnPlateau RemoteMonitor SwapEMAWeights TensorBoard TerminateOnNaN""",
    "config": """backend disable_interactive_logging disable_traceback_filtering enable_interactive_logging
        enable_traceback_filtering enable_unsafe_deserialization is_interactive_logging_enabled is_traceback_filtering_enabled
        set_backend set_epsilon set_image_data_format""",
    "datasets": "boston_housing california_housing cifar10 cifar100 fashion_mnist imdb mnist reuters",
    "dtype_policies": """DTypePolicyMap FloatDTypePolicy GPTQDTypePolicy QuantizedDTypePolicy QuantizedFloat8DTypePolicy""",
    "initializers": "STFT",
    "layers": """ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveMaxPooling1D
        AdaptiveMaxPooling2D Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D AveragePooling2D
        AveragePooling3D BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate Conv1D Conv1DTranspose Conv2D
        Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution2D Cropping1D Cropping2D
        DepthwiseConv1D DepthwiseConv2D Discretization Dot ELU EinsumDense Embedding GRU GRUCell GaussianDropout
        GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D GroupNormalization
        HashedCrossing Hashing Identity InputSpec IntegerLookup LSTM LSTMCell Lambda LayerNormalization Masking MaxPool1D MaxPool2D
        MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute Pipeline
        RMSNormalization RNN RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom RepeatVector
        Rescaling Reshape Resizing SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell SpatialDropout1D SpatialDropout2D
        SpectralNormalization StackedRNNCells StringLookup Subtract TextVectorization ThresholdedReLU TimeDistributed
        UnitNormalization UpSampling1D UpSampling2D Wrapper ZeroPadding1D ZeroPadding2D""",
    "losses": """BinaryFocalCrossentropy CTC CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy CategoricalHinge Circle
        CosineSimilarity Dice Hinge Huber KLDivergence LogCosh MeanAbsolutePercentageError MeanSquaredLogarithmicError Poisson
        SquaredHinge Tversky kld kullback_leibler_divergence mape msle""",
    "metrics": """AUC BinaryIoU CategoricalHinge ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives
        FalsePositives Hinge IoU KLDivergence LogCoshError MeanAbsolutePercentageError MeanIoU MeanMetricWrapper
        MeanSquaredLogarithmicError OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision PrecisionAtRecall R2Score Recall
        RecallAtPrecision SensitivityAtSpecificity SparseTopKCategoricalAccuracy SpecificityAtSensitivity SquaredHinge Sum
        TopKCategoricalAccuracy TrueNegatives TruePositives binary_focal_crossentropy categorical_focal_crossentropy huber kld
        log_cosh mape msle""",
    "mixed_precision": "LossScaleOptimizer",
    "models": "load_model model_from_config model_from_json model_from_yaml save_model",
    "optimizers": """Adadelta Adafactor AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer MultiOptimizer Muon Nadam
        ScheduleFreeAdamW legacy schedules""",
    "random": "SeedGenerator beta binomial categorical dropout gamma normal randint shuffle truncated_normal uniform",
    "utils": """CustomObjectScope FeatureSpace Progbar PyDataset Sequence array_to_img custom_object_scope get_custom_objects
        get_file get_registered_object image_dataset_from_directory img_to_array is_keras_tensor load_img model_to_dot
        pad_sequences plot_model register_keras_serializable serialize_keras_object split_dataset text_dataset_from_directory
        timeseries_dataset_from_array""",
    "Model": """add_loss add_metric compile_from_config compute_loss compute_mask compute_metrics compute_output_spec
        evaluate_generator export fit_generator get_compile_config input_spec load_weights losses make_predict_function
        make_test_function make_train_function predict_classes predict_generator predict_proba predict_step quantize reset_states
        save save_weights stateless_call test_step to_json to_yaml train_step""",
}

NOT_YET = {owner: frozenset(names.split()) for owner, names in _NAMES.items()}
"""Module of Keras, or class: names in it, in one of their spellings, that fastnn does not have yet."""

_KEEP = "keep the model with pickle, or its weights with get_weights() and set_weights()"
_BY_HAND = "compute it from model.predict(x), for example with sklearn.metrics"

_INSTEAD = {
    "Model": {
        "save save_weights load_weights export": _KEEP,
        "to_json to_yaml": "the architecture as plain data is what get_config() returns",
        "predict_classes": "write np.argmax(model.predict(x), axis=-1), or model.predict(x) > 0.5 for one sigmoid",
        "predict_proba predict_generator": "write model.predict(x) with arrays",
        "fit_generator": "write model.fit(x, y) with arrays",
        "evaluate_generator": "write model.evaluate(x, y) with arrays",
    },
    "mixed_precision": {"LossScaleOptimizer": "'mixed_bfloat16' needs no scaling of the loss: leave it out"},
    "models": {"load_model save_model": _KEEP, "model_from_json model_from_yaml": "see Model.from_config"},
    "activations": {"celu elu gelu mish relu6 selu silu softplus swish": "try 'relu' or 'leaky_relu'"},
    "layers": {
        "Normalization BatchNormalization": "scale the columns before: (x - x.mean(axis=0)) / x.std(axis=0)",
        "ELU PReLU": "try ReLU or LeakyReLU",
        "Rescaling": "divide before: x / 255",
        "Reshape": "reshape x before, with NumPy; Flatten is there",
    },
    "losses": {
        "rmse root_mean_squared_error": "minimise 'mse' instead, it has the same minimum; to see it while training write "
        "metrics=['root_mean_squared_error']",
        "mape msle mean_absolute_percentage_error mean_squared_logarithmic_error": "minimise 'mse' of np.log1p(y)",
        "huber log_cosh": "try 'mae', or 'mse'",
        "hinge squared_hinge": "try 'binary_crossentropy'",
        "categorical_hinge kld kl_divergence kullback_leibler_divergence": "try 'categorical_crossentropy'",
        "accuracy": "accuracy has no gradient: write loss='sparse_categorical_crossentropy' for integer labels, "
        "'categorical_crossentropy' for one-hot labels or 'binary_crossentropy' for 0/1 labels, and metrics=['accuracy']",
        "cross_entropy": "write 'sparse_categorical_crossentropy' for integer labels, 'categorical_crossentropy' for one-hot "
        "labels or 'binary_crossentropy' for 0/1 labels",
    },
    "metrics": {
        "rmse": "write 'root_mean_squared_error', or fastnn.metrics.RootMeanSquaredError()",
        "AUC F1Score Precision Recall R2Score mape msle TopKCategoricalAccuracy": _BY_HAND,
    },
    "optimizers": {"AdamW Adamax Lion Nadam": "try 'adam'", "Adadelta": "try 'rmsprop' or 'adagrad'"},
}

RENAMED = {
    **{"lr": "learning_rate", "nb_epoch": "epochs", "init": "kernel_initializer", "output_dim": "units", "bias": "use_bias"},
    **{"W_regularizer": "kernel_regularizer", "b_regularizer": "bias_regularizer"},
}
"""Old arguments of Keras and what they are called today."""

WITHOUT_EFFECT = ("max_queue_size", "use_multiprocessing", "workers")
"""Arguments of Keras 2's ``fit``, ``evaluate`` and ``predict`` for generators; Keras 3 has none of them."""


def plain(name: str) -> str:
    """``name`` without what people get wrong: letter case and underscores."""
    return name.lower().replace("_", "")


_PLAIN = {owner: {plain(name) for name in names} for owner, names in NOT_YET.items()}
_ADVICE = {
    (owner, plain(name)): advice for owner, table in _INSTEAD.items() for names, advice in table.items() for name in names.split()
}


def keras_has(owner: str, name: str) -> bool:
    """Whether ``name``, which fastnn does not have, is one of Keras's module (or class) ``owner``.

    >>> keras_has("layers", "LSTM"), keras_has("losses", "kl_divergence"), keras_has("layers", "Dence")
    (True, True, False)
    """
    return plain(name) in _PLAIN.get(owner, ())


def instead(owner: str, name: str) -> str | None:
    """What to write instead of ``name`` of ``owner``, where something is known."""
    return _ADVICE.get((owner, plain(name)))
