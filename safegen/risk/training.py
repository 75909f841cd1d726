"""Train the text head from labelled prompts; the same rows and seed give the same head."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safegen.errors import InputError, MissingExtraError
from safegen.risk.data import COLD, HOT, Row
from safegen.risk.embedding import Embeddings, shared_embedder
from safegen.risk.head import BUCKETS, Head, Words, rbf, words

_CENTRES = 512
_SHRINK = 1.0  # of the semantic part, in the norm of its kernel
_SHRINK_WORDS = 1.0
# Harmless prompts are plentiful and of another style. With their full weight the head would learn
# the style instead of the risk.
_HARMLESS = 0.05


def train(rows: Sequence[Row], seed: int = 0, embeddings: Embeddings | None = None) -> Head:
    """A head for these rows, which must have risky and harmless ones among them.

    Args:
        rows: what to learn from; give none that is to be measured on afterwards.
        seed: decides the centres.
        embeddings: of the rows' prompts, where they are known already.

    Raises:
        InputError: all rows are alike, or too few.
        MissingExtraError: scikit-learn or another package of the extra `risk` is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "risk", "training a head") from error
    require_enough(rows)
    clear = np.array([row.hot or row.cold for row in rows])
    hot = np.array([row.hot for row in rows])
    if embeddings is None:
        embeddings = shared_embedder().all([row.prompt for row in rows])
    found = [words(row.prompt) for row in rows]
    # The curve that joins the parts is fitted on rows that they have not seen; on hot and cold ones
    # alone, so what it gives is a probability among these, and not among all prompts.
    folds = np.array([row.fold for row in rows])
    unseen = np.zeros((2, len(rows)), dtype=np.float32)
    for fold in sorted(set(folds.tolist())):
        there = folds == fold
        part = _fit(_only(rows, ~there), embeddings[~there], _only(found, ~there), seed)
        unseen[:, there] = part.parts(embeddings[there], _only(found, there))
    curve = LogisticRegression(C=100.0).fit(
        unseen.T[clear], hot[clear], sample_weight=_weights(rows)[clear]
    )
    whole = _fit(rows, embeddings, found, seed)
    return Head(whole.arrays | {"join": np.append(curve.coef_[0], curve.intercept_)})


def require_enough(rows: Sequence[Row]) -> None:
    """Refuse rows from which no head can be learned.

    Raises:
        InputError: all rows are alike, or too few.
    """
    if not (any(row.hot for row in rows) and any(row.cold for row in rows)):
        raise InputError(
            "expected risky and harmless rows, got only one of them",
            f"give rows with a risk of {HOT} or more, and others with {COLD} or less",
        )
    if len({row.fold for row in rows}) < 2:
        raise InputError(f"{len(rows)} prompts are too few to learn from", "give more")


def _only(every: Sequence[Any], which: NDArray[np.bool_]) -> list[Any]:
    return [each for each, taken in zip(every, which, strict=True) if taken]


def _weights(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Rows of sources that hold nothing but harmless prompts weigh less."""
    mixed = {row.source for row in rows if row.risk > 0}
    return np.array([1.0 if row.source in mixed else _HARMLESS for row in rows])


def _fit(rows: Sequence[Row], embeddings: Embeddings, found: Sequence[Words], seed: int) -> Head:
    from scipy.sparse import csr_array
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.linear_model import Ridge

    risks, weights = np.array([row.risk for row in rows]), _weights(rows)
    means = MiniBatchKMeans(
        min(_CENTRES, len(rows)), random_state=seed, n_init=1, batch_size=2048, max_iter=20
    ).fit(embeddings, sample_weight=weights)
    centres = means.cluster_centers_.astype(np.float32)
    mean = float(np.average(risks, weights=weights))
    kernel: Any = rbf(embeddings, centres).astype(np.float64)
    weighted = kernel * weights[:, None]
    system = weighted.T @ kernel + _SHRINK * rbf(centres, centres)
    solved = np.linalg.solve(system + 1e-6 * np.eye(len(centres)), weighted.T @ (risks - mean))
    indices = np.concatenate([buckets for buckets, _ in found])
    values = np.concatenate([each for _, each in found])
    ends = np.cumsum([0, *(len(buckets) for buckets, _ in found)])
    table = csr_array((values, indices, ends), shape=(len(rows), BUCKETS))
    ridge = Ridge(alpha=_SHRINK_WORDS, solver="sparse_cg", tol=1e-6, random_state=seed)
    ridge.fit(table, risks, sample_weight=weights)
    return Head(
        {
            "centres": centres,
            "kernel": solved,
            "words": ridge.coef_,
            "bias": np.array([mean, ridge.intercept_]),
        }
    )
