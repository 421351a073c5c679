"""An index of LlamaIndex's over Debian packages, in its unmodified Qdrant store.

    python llamaindex_example.py [http://127.0.0.1:6333]
"""

import asyncio
import sys
from typing import Any

import numpy as np
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.schema import NodeWithScore
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters
from llama_index.vector_stores.qdrant import QdrantVectorStore
from pydantic import PrivateAttr
from qdrant_client import AsyncQdrantClient, QdrantClient, models

import packages
from packages import Package, Packages, show

COLLECTION = "example_packages_llamaindex"


class EmbeddingFromFile(BaseEmbedding):
    """Looks embeddings up. A program of yours has those of a model here."""

    _data: Packages = PrivateAttr()

    def __init__(self, data: Packages, **more: Any) -> None:
        super().__init__(**more)
        self._data = data

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._data.embedding(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._data.embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._data.embedding(query)


def document(package: Package) -> Document:
    # The embedding is of the text alone: without this, it would be of the metadata too.
    return Document(
        id_=package["name"], text=package["summary"], metadata=package, excluded_embed_metadata_keys=list(package)
    )


def search(index: VectorStoreIndex, text: str, **more: Any) -> list[NodeWithScore]:
    found = index.as_retriever(similarity_top_k=5, **more).retrieve(text)
    show(f"“{text}”", [(node.score, node.metadata) for node in found])
    return found


def nearest(index: VectorStoreIndex, data: Packages) -> None:
    text = "play music from the terminal"
    found = search(index, text)
    assert np.allclose([node.score for node in found], data.best_scores(data.queries[text], 5), atol=1e-4)
    assert all(node.text == node.metadata["summary"] for node in found)
    again = asyncio.run(index.as_retriever(similarity_top_k=5).aretrieve(text))
    assert [node.id_ for node in again] == [node.id_ for node in found], "asked asynchronously"


def filtered(index: VectorStoreIndex, data: Packages) -> None:
    small_science = MetadataFilters(
        filters=[
            MetadataFilter(key="section", value=["science", "math"], operator=FilterOperator.IN),
            MetadataFilter(key="installed_kb", value=5000, operator=FilterOperator.LT),
        ]
    )
    text = "DNA sequence alignment"
    found = search(index, text, filters=small_science)

    def wanted(package: Package) -> bool:
        return package["section"] in ("science", "math") and package["installed_kb"] < 5000

    assert all(wanted(node.metadata) for node in found)
    best = data.best_scores(data.queries[text], 5, wanted)
    assert np.allclose([node.score for node in found], best, atol=1e-4), "and these are the nearest of them"


def delete(index: VectorStoreIndex, data: Packages, client: QdrantClient) -> None:
    text = "play music from the terminal"
    best = index.as_retriever(similarity_top_k=1).retrieve(text)[0]
    index.delete_ref_doc(best.node.ref_doc_id)
    left = index.as_retriever(similarity_top_k=4).retrieve(text)
    assert np.allclose([node.score for node in left], data.best_scores(data.queries[text], 5)[1:], atol=1e-4)
    print(f"\nWithout {best.node.ref_doc_id}, “{text}” finds {left[0].node.ref_doc_id} first")

    docs = MetadataFilters(filters=[MetadataFilter(key="section", value="doc")])
    index.vector_store.delete_nodes(filters=docs)
    kept = [p for p in data.payloads if p["section"] != "doc" and p["name"] != best.node.ref_doc_id]
    assert client.count(COLLECTION).count == len(kept)

    index.insert(document(best.metadata))
    assert index.as_retriever(similarity_top_k=1).retrieve(text)[0].node.ref_doc_id == best.node.ref_doc_id


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:6333"
    data = packages.load(2000)
    client = QdrantClient(url)
    client.delete_collection(COLLECTION)
    # So few are searched quickly without a graph (m=0), and then every search is exact.
    vectors = models.VectorParams(
        size=data.vectors.shape[1], distance=models.Distance.COSINE, hnsw_config=models.HnswConfigDiff(m=0)
    )
    store = QdrantVectorStore(
        COLLECTION,
        client=client,
        aclient=AsyncQdrantClient(url),
        dense_config=vectors,
        payload_indexes=[
            {"field_name": "section", "field_schema": models.PayloadSchemaType.KEYWORD},
            {"field_name": "installed_kb", "field_schema": models.PayloadSchemaType.INTEGER},
        ],
    )
    index = VectorStoreIndex.from_documents(
        [document(package) for package in data.payloads],
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=EmbeddingFromFile(data),
    )
    assert client.count(COLLECTION).count == len(data.payloads)
    nearest(index, data)
    filtered(index, data)
    delete(index, data, client)
    client.delete_collection(COLLECTION)


if __name__ == "__main__":
    main()
