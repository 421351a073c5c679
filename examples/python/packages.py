"""What the examples search: Debian packages and queries, with the embeddings of
their texts from files. A program of yours would ask a model for them instead.
"""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

Package = dict[str, Any]

FOLDER = Path(__file__).parents[2] / "bench/data/debian-20k"


@dataclass(frozen=True)
class Packages:
    """The first packages of the data, and all its queries."""

    payloads: list[Package]
    vectors: np.ndarray  # One row for each package; all vectors here have the length 1.
    queries: dict[str, np.ndarray]

    def embedding(self, text: str) -> list[float]:
        """The embedding of a query or of a package's summary."""
        if text in self.queries:
            return self.queries[text].tolist()
        return self.vectors[self._rows[text]].tolist()

    def best_scores(
        self, query: np.ndarray, limit: int, wanted: Callable[[Package], bool] = lambda package: True
    ) -> np.ndarray:
        """The true scores of a search, best first, among the packages that are wanted."""
        rows = [row for row, package in enumerate(self.payloads) if wanted(package)]
        return np.sort(self.vectors[rows] @ query)[::-1][:limit]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {payload["summary"]: row for row, payload in enumerate(self.payloads)}


def load(count: int) -> Packages:
    with gzip.open(FOLDER / "points.jsonl.gz", "rt", encoding="utf-8") as lines:
        payloads = [json.loads(line) for _, line in zip(range(count), lines)]
    texts = (FOLDER / "queries.txt").read_text(encoding="utf-8").splitlines()
    queries = dict(zip(texts, _unit(np.load(FOLDER / "queries.f16.npy"))))
    return Packages(payloads, _unit(np.load(FOLDER / "vectors.f16.npy")[:count]), queries)


def show(title: str, rows: list[tuple[float, Package]]) -> None:
    """Prints scores and packages as a person reads them."""
    print(f"\n{title}")
    for score, package in rows:
        print(f"  {score:5.2f}  {package['name']:<28.28}  {package['section']:<12}  {package['summary']:.60}")


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
