"""Cross-validate a pipeline, calibrate what it learnt of labels that are not all right, and keep it in a file."""
# needs: sklearn

import joblib
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import pymnistcnn as pm

X, y = load_digits(return_X_y=True)
names = np.array("zero one two three four five six seven eight nine".split())  # labels may be strings
rng = np.random.default_rng(0)
y = names[np.where(rng.random(len(y)) < 0.1, rng.integers(0, 10, len(y)), y)]
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

pipeline = make_pipeline(MinMaxScaler(), pm.CNNClassifier(random_state=0))
print("accuracy of each third:", cross_val_score(pipeline, X_train, y_train, cv=3).round(3))

calibrated = CalibratedClassifierCV(pipeline, method="sigmoid", cv=5).fit(X_train, y_train)
for name, model in (("as it is", pipeline.fit(X_train, y_train)), ("calibrated", calibrated)):
    loss = log_loss(y_test, model.predict_proba(X_test), labels=model.classes_)
    print(f"{name}: log loss {loss:.3f}, accuracy {model.score(X_test, y_test):.1%}")

joblib.dump(calibrated, "digits.joblib")
again = joblib.load("digits.joblib")
print("the same from the file:", bool((again.predict(X_test) == calibrated.predict(X_test)).all()))
