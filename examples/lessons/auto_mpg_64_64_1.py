# Run it on fastnn: python -m fastnn.keras examples/lessons/auto_mpg_64_64_1.py mpg.csv; needs pandas: python -m pip install pandas
from __future__ import absolute_import, division, print_function

import sys

if len(sys.argv) != 2:
  sys.exit('One argument is needed: Auto MPG as a CSV file, mpg.csv; docs/lessons.md says where it can be had.')

import pandas as pd

import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

print(tf.__version__)

# the file: mpg,cylinders,displacement,horsepower,weight,acceleration,model_year,origin,name
raw_dataset = pd.read_csv(sys.argv[1])
dataset = raw_dataset.drop(columns='name').dropna()

origin = dataset.pop('origin')
dataset['usa'] = (origin == 'usa') * 1.0
dataset['europe'] = (origin == 'europe') * 1.0
dataset['japan'] = (origin == 'japan') * 1.0

train_dataset = dataset.sample(frac=0.8, random_state=0)
test_dataset = dataset.drop(train_dataset.index)

train_stats = train_dataset.describe()
train_stats.pop('mpg')
train_stats = train_stats.transpose()

train_labels = train_dataset.pop('mpg')
test_labels = test_dataset.pop('mpg')

def norm(x):
  return (x - train_stats['mean']) / train_stats['std']

normed_train_data = norm(train_dataset)
normed_test_data = norm(test_dataset)

def build_model():
  model = keras.Sequential([
    layers.Dense(64, activation=tf.nn.relu, input_shape=[len(train_dataset.keys())]),
    layers.Dense(64, activation=tf.nn.relu),
    layers.Dense(1)
  ])

  optimizer = tf.train.RMSPropOptimizer(0.001)

  model.compile(loss='mse',
                optimizer=optimizer,
                metrics=['mae', 'mse'])
  return model

tf.random.set_seed(0)
model = build_model()
model.summary()

example_batch = normed_train_data[:10]
print(model.predict(example_batch).shape)

# Display training progress by printing a single dot for each completed epoch
class PrintDot(keras.callbacks.Callback):
  def on_epoch_end(self, epoch, logs):
    if epoch % 100 == 0: print('')
    print('.', end='')

early_stop = keras.callbacks.EarlyStopping(monitor='val_loss', patience=20)

history = model.fit(normed_train_data, train_labels, epochs=500,
                    validation_split=0.2, verbose=0, callbacks=[early_stop, PrintDot()])
print()

hist = pd.DataFrame(history.history)
hist['epoch'] = history.epoch
print(hist.tail())

loss, mae, mse = model.evaluate(normed_test_data, test_labels, verbose=0)
print("Testing set Mean Abs Error: {:5.2f} MPG".format(mae))

test_predictions = model.predict(normed_test_data).flatten()
error = test_predictions - test_labels
print("Mean Abs Error of the predictions: {:5.2f} MPG".format(error.abs().mean()))
