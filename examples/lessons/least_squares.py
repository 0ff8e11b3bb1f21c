# Run it on fastnn: python -m fastnn.keras examples/lessons/least_squares.py
import numpy as np
from keras.layers import Dense, Input
from keras.models import Model
from keras.optimizers import SGD

# a plane through points with noise
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 3))
y = X @ [1.5, -2.0, 0.5] + 0.7 + 0.1 * rng.normal(size=200)

inputs = Input(shape=(3,))
outputs = Dense(1)(inputs)
model = Model(inputs=inputs, outputs=outputs)
model.compile(optimizer=SGD(learning_rate=0.1), loss='mean_squared_error')
model.fit(X, y, epochs=100, batch_size=200, verbose=0)

kernel, bias = model.get_weights()
trained = np.append(kernel.ravel(), bias)

# the same by the normal equations
A = np.column_stack([X, np.ones(len(X))])
solved = np.linalg.solve(A.T @ A, A.T @ y)

print("trained:", trained)
print("solved: ", solved)
print("largest difference: %.1e" % np.abs(trained - solved).max())
