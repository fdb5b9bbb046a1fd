"""What Septet knows of fitted scikit-learn estimators, and of libraries whose estimators behave like them."""

from typing import Final

from septet.runtimes.engine import Engine

SKLEARN: Final = Engine(
    key="sklearn",
    suffixes=(".skops", ".joblib", ".pkl", ".pickle"),
    module="septet.runtimes.sklearn.sklearn_runtime",
    libraries=("scikit-learn", "pandas", "skops"),
    held=("scikit-learn",),
    foreign={
        "lightgbm": ("lightgbm",),
        "xgboost": ("xgboost", "xgboost-cpu"),
        "category_encoders": ("category-encoders",),
        "catboost": ("catboost",),
    },
    null_texts=True,
    library_shapes=True,
    methods=("predict", "transform"),
    unknown=(
        "the dtypes of its columns, which may be missing and which are not read are guessed from the estimator; "
        "save it with the rows that it was trained on: septet.save(model, path, data=rows)"
    ),
)
