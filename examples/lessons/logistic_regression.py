# Run it on fastnn: python -m fastnn.keras examples/lessons/logistic_regression.py
import numpy as np
from keras.layers import Dense, Input
from keras.models import Sequential
from keras.optimizers import SGD

# two overlapping groups
rng = np.random.default_rng(1)
X = np.vstack([rng.normal(-0.7, 1.0, (150, 2)), rng.normal(0.7, 1.0, (150, 2))])
y = np.repeat([0, 1], 150)

model = Sequential([Input(shape=(2,)), Dense(1, activation='sigmoid')])
model.compile(optimizer=SGD(learning_rate=2.0), loss='binary_crossentropy', metrics=['accuracy'])
model.fit(X, y, epochs=300, batch_size=300, verbose=0)

kernel, bias = model.get_weights()
trained = np.append(kernel.ravel(), bias)

# the same by Newton's method: theta -= H^-1 g
A = np.column_stack([X, np.ones(len(X))])
theta = np.zeros(3)
for _ in range(10):
    p = 1 / (1 + np.exp(-A @ theta))
    gradient = A.T @ (p - y)
    hessian = A.T @ (A * (p * (1 - p))[:, np.newaxis])
    theta -= np.linalg.solve(hessian, gradient)

print("trained:", trained)
print("Newton: ", theta)
print("largest difference: %.1e" % np.abs(trained - theta).max())
