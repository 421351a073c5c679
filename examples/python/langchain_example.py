"""Debian packages as LangChain's documents, in its unmodified Qdrant store.

    python langchain_example.py [http://127.0.0.1:6333]
"""

import sys
from uuid import NAMESPACE_DNS, uuid5

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_qdrant import QdrantVectorStore
from qdrant_client import QdrantClient, models

import packages
from packages import Package, Packages, show

COLLECTION = "example_packages_langchain"

# Looks at every point, since the checks compare with the truth. Without it, a search goes
# by the graph: approximate, and quicker.
EXACT = models.SearchParams(exact=True)


class EmbeddingsFromFile(Embeddings):
    """Looks embeddings up. A program of yours has those of a model here."""

    def __init__(self, data: Packages) -> None:
        self.data = data

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if texts == ["dummy_text"]:  # The store asks for it, to learn how long embeddings are.
            return self.data.vectors[:1].tolist()
        return [self.data.embedding(text) for text in texts]


def document(package: Package) -> Document:
    # An id made of the name: who loads the packages again replaces them.
    identity = str(uuid5(NAMESPACE_DNS, package["name"]))
    return Document(package["summary"], id=identity, metadata=package)


def load(url: str, data: Packages) -> QdrantVectorStore:
    documents = [document(package) for package in data.payloads]
    store = QdrantVectorStore.from_documents(
        documents, EmbeddingsFromFile(data), url=url, collection_name=COLLECTION, batch_size=250
    )
    store.client.create_payload_index(COLLECTION, "metadata.section", models.PayloadSchemaType.KEYWORD)
    store.add_documents([document(package) for package in data.payloads[:100]])
    assert store.client.count(COLLECTION).count == len(documents), "the same again are not more"
    return store


def search(store: QdrantVectorStore, data: Packages) -> None:
    text = "backup files to the cloud"
    found = store.similarity_search_with_score(text, k=5, search_params=EXACT)
    show(f"“{text}”", [(score, doc.metadata) for doc, score in found])
    assert np.allclose([score for _, score in found], data.best_scores(data.queries[text], 5), atol=1e-4)
    assert all(doc.page_content == doc.metadata["summary"] for doc, _ in found)


def filtered(store: QdrantVectorStore, data: Packages) -> None:
    text = "chess game"
    games = models.Filter(
        must=[models.FieldCondition(key="metadata.section", match=models.MatchValue(value="games"))]
    )
    found = store.similarity_search_with_score(text, k=5, filter=games, search_params=EXACT)
    show(f"“{text}”, only games", [(score, doc.metadata) for doc, score in found])
    assert all(doc.metadata["section"] == "games" for doc, _ in found)
    best = data.best_scores(data.queries[text], 5, lambda package: package["section"] == "games")
    assert np.allclose([score for _, score in found], best, atol=1e-4)

    # The same as a retriever, which is what chains are made of.
    retriever = store.as_retriever(search_kwargs={"k": 5, "filter": games, "search_params": EXACT})
    assert [doc.metadata for doc in retriever.invoke(text)] == [doc.metadata for doc, _ in found]


def diverse(store: QdrantVectorStore, data: Packages) -> None:
    text = "python library for linear algebra"

    def likeness(found: list[Document]) -> float:
        """How like each other the documents are, on average."""
        vectors = np.array([data.embedding(doc.page_content) for doc in found])
        return float((vectors @ vectors.T)[~np.eye(len(found), dtype=bool)].mean())

    nearest = store.similarity_search(text, k=5, search_params=EXACT)
    # Here the store hands on lambda_mult as Qdrant's diversity: more of it is more diverse.
    spread = store.max_marginal_relevance_search(text, k=5, fetch_k=50, lambda_mult=0.7, search_params=EXACT)
    query = data.queries[text]
    show(f"“{text}”, diverse", [(data.embedding(doc.page_content) @ query, doc.metadata) for doc in spread])
    print(f"\nThey are like each other by {likeness(spread):.2f}, and the nearest five by {likeness(nearest):.2f}")
    assert spread[0].metadata == nearest[0].metadata, "the nearest is first either way"
    assert likeness(spread) < likeness(nearest)


def delete(store: QdrantVectorStore, data: Packages) -> None:
    text = "backup files to the cloud"
    ids = [doc.metadata["_id"] for doc in store.similarity_search(text, k=2, search_params=EXACT)]
    assert len(store.get_by_ids(ids)) == 2
    assert store.delete(ids)
    assert store.get_by_ids(ids) == []
    found = store.similarity_search_with_score(text, k=3, search_params=EXACT)
    assert np.allclose([score for _, score in found], data.best_scores(data.queries[text], 5)[2:], atol=1e-4)
    print(f"\nWithout the best two, “{text}” finds {found[0][0].metadata['name']} first")


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:6333"
    data = packages.load(2000)
    client = QdrantClient(url)
    client.delete_collection(COLLECTION)
    store = load(url, data)
    for part in (search, filtered, diverse, delete):
        part(store, data)
    client.delete_collection(COLLECTION)


if __name__ == "__main__":
    main()
