"""Backpropagation written out in NumPy, beside the gradients of the same network in fastnn.

By hand the examples are columns, as on a blackboard: X (n, m), Y (k, m), W1 (h, n), W2 (k, h), and A = sigmoid(W A + b).
In Keras they are rows, and a kernel is W transposed.

Which gradient comes out depends on the loss that is written down. With a mean over m examples and k outputs, as Keras's losses
take it, and E = A2 - Y:

    half the sum of squares   1/2 sum E**2              = (m k / 2) * mean_squared_error    dZ2 = E * A2 * (1 - A2)
    mean cross-entropy        -1/m sum Y log A2 + ...   = k * binary_crossentropy           dZ2 = E / m
"""

import numpy as np

import fastnn as keras

INPUTS, HIDDEN, OUTPUTS, EXAMPLES = 3, 5, 2, 40


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(weights, X):
    W1, b1, W2, b2 = weights
    A1 = sigmoid(W1 @ X + b1)
    return A1, sigmoid(W2 @ A1 + b2)


def backward(weights, X, Y, loss):
    """Loss and gradients dW1, db1, dW2, db2 of the loss called "half sum of squares" or "mean cross-entropy"."""
    W2 = weights[2]
    A1, A2 = forward(weights, X)
    m = X.shape[1]
    if loss == "half sum of squares":
        value = ((A2 - Y) ** 2).sum() / 2
        dZ2 = (A2 - Y) * A2 * (1 - A2)
    else:
        value = -(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)).sum() / m
        dZ2 = (A2 - Y) / m
    dZ1 = W2.T @ dZ2 * A1 * (1 - A1)
    return value, [dZ1 @ X.T, dZ1.sum(axis=1, keepdims=True), dZ2 @ A1.T, dZ2.sum(axis=1, keepdims=True)]


def build(loss):
    """The same network in Keras's terms."""
    model = keras.Sequential(
        [
            keras.Input((INPUTS,), dtype="float64"),
            keras.layers.Dense(HIDDEN, "sigmoid", dtype="float64"),
            keras.layers.Dense(OUTPUTS, "sigmoid", dtype="float64"),
        ]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss=loss)
    return model


def columns(weights):
    """Kernels (n, h) and biases (h,) as the blackboard has them: W (h, n), b (h, 1)."""
    return [np.array(weight).T if np.ndim(weight) == 2 else np.array(weight)[:, np.newaxis] for weight in weights]


FACTORS = {
    "half sum of squares": ("mean_squared_error", EXAMPLES * OUTPUTS / 2),
    "mean cross-entropy": ("binary_crossentropy", OUTPUTS),
}


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(INPUTS, EXAMPLES))
    return X, (rng.random((OUTPUTS, EXAMPLES)) < sigmoid(X[:OUTPUTS] * 2)).astype(float)


def main():
    X, Y = data()
    for written, (name, factor) in FACTORS.items():
        model = build(name)
        value, by_hand = backward(columns(model.get_weights()), X, Y, written)
        loss, gradients = model.gradients(X.T, Y.T)
        difference = max(np.abs(hand - factor * ours).max() for hand, ours in zip(by_hand, columns(gradients), strict=True))
        print(f"{written}: {value:.6f} = {factor:g} * {name} ({loss:.6f}); gradients differ by {difference:.0e}")

    # the loop of fit, by hand: gradients of the whole batch, one update each
    before, _ = model.gradients(X.T, Y.T)
    for _ in range(200):
        _, gradients = model.gradients(X.T, Y.T)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
    after, _ = model.gradients(X.T, Y.T)
    print(f"200 steps of SGD by hand: {name} from {before:.4f} to {after:.4f}")


if __name__ == "__main__":
    main()
