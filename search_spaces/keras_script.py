"""A dense network on digits in Keras, as it is often written. It knows nothing of hpsearch: keras_script.yaml searches it as it is."""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--units", type=int, default=128)
parser.add_argument("--learning-rate", type=float, default=0.001)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()

keras.utils.set_random_seed(arguments.seed)

digits = load_digits()
images = np.pad(digits.images.astype("float32") / 16, ((0, 0), (10, 10), (10, 10)))  # 8 by 8 pixels in the middle of 28 by 28
x_train, x_val, y_train, y_val = train_test_split(images, digits.target, test_size=0.2, random_state=0, stratify=digits.target)

model = keras.Sequential(
    [
        keras.layers.Input((28, 28)),
        keras.layers.Flatten(),
        keras.layers.Dense(arguments.units, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=arguments.learning_rate),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(x_train, y_train, batch_size=arguments.batch_size, epochs=10, validation_data=(x_val, y_val), verbose=2)
