# Run it on fastnn: python -m fastnn.keras examples/lessons/blobs_25_15_4.py; needs scikit-learn: python -m pip install scikit-learn
import numpy as np
from sklearn.datasets import make_blobs

import tensorflow as tf
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense
from tensorflow.keras.losses import SparseCategoricalCrossentropy
from tensorflow.keras.optimizers import Adam

import logging
logging.getLogger("tensorflow").setLevel(logging.ERROR)
tf.autograph.set_verbosity(0)

# four groups of points in the plane
centers = [[-5, 2], [-2, -2], [1, 2], [5, -2]]
X_train, y_train = make_blobs(n_samples=2000, centers=centers, cluster_std=1.0, random_state=30)

tf.random.set_seed(1234)
model = Sequential([
    tf.keras.Input(shape=(2,)),
    Dense(25, activation='relu'),
    Dense(15, activation='relu'),
    Dense(4, activation='linear')
], name="blobs")
model.summary()

model.compile(
    loss=SparseCategoricalCrossentropy(from_logits=True),
    optimizer=Adam(learning_rate=0.001),
    metrics=['accuracy'],
)
history = model.fit(X_train, y_train, epochs=20)

logits = model.predict(X_train)
probabilities = tf.nn.softmax(logits).numpy()
for i in range(5):
    print(logits[i], "category:", np.argmax(logits[i]), "with probability", probabilities[i].max())
print("accuracy:", np.mean(np.argmax(probabilities, axis=1) == y_train))
