"""Search the settings of a small network for scikit-learn's digits, and test the best on the others."""
# needs: sklearn

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

import pymnistcnn as pm

X, y = load_digits(return_X_y=True)  # 1,797 pictures of 8x8, numbers from 0 to 16
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

settings = {"learning_rate": [0.001, 0.01], "batch_size": [32, 128]}
search = GridSearchCV(pm.CNNClassifier(epochs=10, random_state=0), settings, cv=3)
search.fit(X_train, y_train)

for chosen, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(f"{score:.2%}  {chosen}")
print(f"best: {search.best_params_}, {search.score(X_test, y_test):.2%} on the {len(y_test)} that are left")
