# Run it on fastnn: python -m fastnn.keras examples/lessons/iris_6_6_3.py; needs scikit-learn: python -m pip install scikit-learn
import numpy
from keras.models import Sequential
from keras.layers import Dense
from keras.utils import np_utils
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

# fix random seed for reproducibility
import keras
keras.utils.set_random_seed(7)

iris = load_iris()
X = iris.data
# one hot encode the class numbers
Y = np_utils.to_categorical(iris.target)
X_train, X_test, Y_train, Y_test = train_test_split(X, Y, test_size=0.3, random_state=7)

# create model
model = Sequential()
model.add(Dense(6, input_dim=4, activation='relu'))
model.add(Dense(6, activation='relu'))
model.add(Dense(3, activation='softmax'))

# Compile model
model.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])

model.fit(X_train, Y_train, epochs=300, batch_size=5, verbose=0)

scores = model.evaluate(X_test, Y_test)
print("%s: %.2f%%" % ("accuracy", scores[1] * 100))
print("predicted:", numpy.argmax(model.predict(X_test[:5], verbose=0), axis=1), "true:", numpy.argmax(Y_test[:5], axis=1))
