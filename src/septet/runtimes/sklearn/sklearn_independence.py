"""Whether a fitted estimator answers each row by itself, known by its class.

An estimator is trusted by the very class that it has, and so is everything that it holds. What computes from its whole
batch (a factorization that iterates until the batch has converged), what draws at random, and every class and function
that is not on the list proves nothing: a subclass may do anything.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

from septet.runtimes.base import Independence

# The classes whose rows are known to be apart, by package. `test_listed_rows.py` compares each on rows alone and among
# others. No statistic, draw, order or convergence of the batch is in their `predict`, `predict_proba`,
# `decision_function` and `transform`; chunks of rows change but the rounding of sums.
_CLASSES: Mapping[str, frozenset[str]] = {
    package: frozenset(names.split())
    for package, names in {
        "sklearn.calibration": "CalibratedClassifierCV _CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
        "sklearn.cluster": "KMeans MiniBatchKMeans",
        "sklearn.compose": "ColumnTransformer TransformedTargetRegressor",
        "sklearn.covariance": "EllipticEnvelope",
        "sklearn.cross_decomposition": "CCA PLSCanonical PLSRegression",
        "sklearn.decomposition": "FactorAnalysis FastICA IncrementalPCA KernelPCA PCA TruncatedSVD",
        "sklearn.discriminant_analysis": "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis",
        "sklearn.dummy": "DummyClassifier DummyRegressor",
        "sklearn.ensemble": "AdaBoostClassifier AdaBoostRegressor BaggingClassifier BaggingRegressor "
        "ExtraTreesClassifier ExtraTreesRegressor GradientBoostingClassifier GradientBoostingRegressor "
        "HistGradientBoostingClassifier HistGradientBoostingRegressor IsolationForest RandomForestClassifier "
        "RandomForestRegressor RandomTreesEmbedding StackingClassifier StackingRegressor VotingClassifier "
        "VotingRegressor",
        "sklearn.feature_extraction": "CountVectorizer HashingVectorizer TfidfTransformer TfidfVectorizer",
        "sklearn.feature_selection": "GenericUnivariateSelect RFE RFECV SelectFdr SelectFpr SelectFromModel SelectFwe "
        "SelectKBest SelectPercentile SequentialFeatureSelector VarianceThreshold",
        "sklearn.frozen": "FrozenEstimator",
        "sklearn.gaussian_process": "GaussianProcessClassifier GaussianProcessRegressor "
        "_BinaryGaussianProcessClassifierLaplace",
        "sklearn.impute": "KNNImputer MissingIndicator SimpleImputer",
        "sklearn.isotonic": "IsotonicRegression",
        "sklearn.kernel_approximation": "Nystroem RBFSampler",
        "sklearn.kernel_ridge": "KernelRidge",
        "sklearn.linear_model": "ARDRegression BayesianRidge ElasticNet ElasticNetCV GammaRegressor HuberRegressor "
        "Lars LarsCV Lasso LassoCV LassoLars LassoLarsCV LassoLarsIC LinearRegression LogisticRegression "
        "LogisticRegressionCV MultiTaskElasticNet MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV "
        "OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV PassiveAggressiveClassifier "
        "PassiveAggressiveRegressor Perceptron PoissonRegressor QuantileRegressor RANSACRegressor Ridge "
        "RidgeClassifier RidgeClassifierCV RidgeCV SGDClassifier SGDOneClassSVM SGDRegressor TheilSenRegressor "
        "TweedieRegressor",
        "sklearn.mixture": "BayesianGaussianMixture GaussianMixture",
        "sklearn.model_selection": "FixedThresholdClassifier GridSearchCV RandomizedSearchCV "
        "TunedThresholdClassifierCV",
        "sklearn.multiclass": "OneVsOneClassifier OneVsRestClassifier _ConstantPredictor",
        "sklearn.multioutput": "ClassifierChain MultiOutputClassifier MultiOutputRegressor RegressorChain",
        "sklearn.naive_bayes": "BernoulliNB CategoricalNB ComplementNB GaussianNB MultinomialNB",
        "sklearn.neighbors": "KNeighborsClassifier KNeighborsRegressor LocalOutlierFactor NearestCentroid "
        "NearestNeighbors",
        "sklearn.neural_network": "MLPClassifier MLPRegressor",
        "sklearn.pipeline": "FeatureUnion Pipeline",
        "sklearn.preprocessing": "Binarizer FunctionTransformer KBinsDiscretizer KernelCenterer LabelBinarizer "
        "LabelEncoder MaxAbsScaler MinMaxScaler MultiLabelBinarizer Normalizer OneHotEncoder OrdinalEncoder "
        "PolynomialFeatures PowerTransformer QuantileTransformer RobustScaler SplineTransformer StandardScaler "
        "TargetEncoder",
        "sklearn.random_projection": "GaussianRandomProjection SparseRandomProjection",
        "sklearn.svm": "LinearSVC LinearSVR NuSVC NuSVR OneClassSVM SVC SVR",
        "sklearn.tree": "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor",
        "lightgbm.sklearn": "LGBMClassifier LGBMRanker LGBMRegressor",
        "xgboost.sklearn": "XGBClassifier XGBRFClassifier XGBRFRegressor XGBRanker XGBRegressor",
    }.items()
}
# Of these, one operation or look-up makes each value.
_EXACT = frozenset(
    (
        *("Binarizer", "ColumnTransformer", "DecisionTreeClassifier", "DecisionTreeRegressor", "DummyClassifier"),
        *("DummyRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor", "FeatureUnion", "KBinsDiscretizer"),
        *("LabelEncoder", "MaxAbsScaler", "MinMaxScaler", "MissingIndicator", "OneHotEncoder", "OrdinalEncoder"),
        *("Pipeline", "RobustScaler", "SelectKBest", "SimpleImputer", "StandardScaler", "VarianceThreshold"),
    )
)
# These are listed for what they hold of other estimators' labels. Their own `transform` tells one kind of labels from
# another by the values of the batch.
_OF_LABELS = ("LabelBinarizer", "LabelEncoder", "MultiLabelBinarizer")
# Parameters that only fitting uses.
_OF_FITTING = frozenset(("callbacks", "cv", "cv_results_", "eval_metric", "refit", "score_func", "scorer_", "scoring"))
_LIBRARIES = frozenset(
    (
        "builtins",
        "collections",
        "datetime",
        "joblib",
        "lightgbm",
        "numpy",
        "pandas",
        "re",
        "scipy",
        "sklearn",
        "xgboost",
    )
)
# Parts of estimators that predict or transform and are none themselves.
_PARTS = (
    *("lightgbm.basic", "numpy", "pandas", "scipy", "sklearn.ensemble._hist_gradient_boosting.binning"),
    *("sklearn.ensemble._hist_gradient_boosting.predictor", "sklearn.tree._tree", "xgboost.core"),
)
_SCALARS = (type(None), bool, int, float, complex, str, bytes, type)


def independence(model: Any) -> Independence:
    """Whether each row's answer depends on that row alone."""
    if type(model).__name__ in _OF_LABELS:
        doubt = f"{type(model).__name__} chooses how to read its rows by all of them"
        return Independence(proven=False, reason=doubt, foreign=True)
    walk = _EstimatorWalk()
    reason = next(walk.reasons_against(model), None)
    if reason is not None:
        return Independence(proven=False, reason=reason, foreign=True)
    name = type(model).__name__
    if walk.names <= _EXACT:
        return Independence(proven=True, reason=f"{name} answers each row by itself", exact=True)
    return Independence(proven=True, reason=f"{name} answers each row by itself; sums may round in another order")


class _EstimatorWalk:
    """Goes through all that an estimator holds, once."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._seen: set[int] = set()

    def reasons_against(self, value: Any) -> Iterator[str]:
        """Yield the reasons against independence, one sentence each."""
        if isinstance(value, _SCALARS) or id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, np.ndarray):
            if value.dtype == object:
                yield from self._each(value.ravel().tolist())
        elif isinstance(value, Mapping):
            yield from self._each(value.values())
        elif isinstance(value, (list, tuple, set, frozenset)):
            yield from self._each(value)
        elif isinstance(value, (FunctionType, MethodType, BuiltinFunctionType)):
            if not _of_library(getattr(value, "__module__", None)):
                yield f"the function {getattr(value, '__qualname__', value)} is code that Septet does not know"
        elif hasattr(value, "fit") or hasattr(value, "predict") or hasattr(value, "transform"):
            yield from self._of_estimator(value)
        elif not _of_library(type(value).__module__):
            yield f"the class {_name(type(value))} is code that Septet does not know"

    def _each(self, values: Iterable[Any]) -> Iterator[str]:
        for value in values:
            yield from self.reasons_against(value)

    def _of_estimator(self, value: Any) -> Iterator[str]:
        kind = type(value)
        if not _listed(kind):
            if not _of_library(kind.__module__):
                yield f"the class {_name(kind)} is code that Septet does not know"
            elif not kind.__module__.startswith(_PARTS):
                yield f"the class {_name(kind)} is not known to answer each row by itself"
            return
        plain = kind.__name__ != "FunctionTransformer" or (
            _ufunc(value.func) and _ufunc(value.inverse_func) and not value.kw_args and not value.inv_kw_args
        )
        if not plain:
            yield "the function of a FunctionTransformer is code that Septet does not know"
            return
        if kind.__name__ == "DummyClassifier" and value.strategy in ("stratified", "uniform"):
            yield f"the DummyClassifier draws its answers at random ({value.strategy})"
            return
        self.names.add(kind.__name__)
        yield from self._each(each for name, each in vars(value).items() if name not in _OF_FITTING)


def _ufunc(function: Any) -> bool:
    """Whether a function is none, or numpy's own for each value by itself."""
    return function is None or (isinstance(function, np.ufunc) and function.signature is None)


def _listed(kind: type) -> bool:
    module = kind.__module__
    return any(
        kind.__qualname__ in names and (module == package or module.startswith(f"{package}."))
        for package, names in _CLASSES.items()
    )


def _of_library(module: str | None) -> bool:
    return module is None or module.split(".")[0] in _LIBRARIES


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
