// Searches Debian packages by meaning, with an unmodified @qdrant/js-client-rest.
//
//     node qdrant_client_example.js [http://127.0.0.1:6333]

import assert from 'node:assert/strict';
import { QdrantClient } from '@qdrant/js-client-rest';
import { cosine, load, show } from './packages.js';

const COLLECTION = 'example_packages_javascript';
const BATCH = 250;

// Looks at every point, since the checks compare with the truth. Without it, a search goes
// by the graph: approximate, and quicker.
const params = { exact: true };

const client = new QdrantClient({ url: process.argv[2] ?? 'http://127.0.0.1:6333' });
const { packages, queries } = load(2000);

async function fill() {
  await client.createCollection(COLLECTION, { vectors: { size: packages[0].vector.length, distance: 'Cosine' } });
  const fields = { section: 'keyword', installed_kb: 'integer', summary: { type: 'text', tokenizer: 'word' } };
  for (const [field_name, field_schema] of Object.entries(fields)) {
    await client.createPayloadIndex(COLLECTION, { field_name, field_schema, wait: true });
  }
  for (let start = 0; start < packages.length; start += BATCH) {
    const points = packages
      .slice(start, start + BATCH)
      .map(({ id, vector, ...payload }) => ({ id, vector, payload }));
    await client.upsert(COLLECTION, { points, wait: true });
  }
  const { count } = await client.count(COLLECTION);
  assert.equal(count, packages.length);
}

/** Fails unless these are so many, and the truly nearest of some packages; ties may be in any order. */
function assertNearest(hits, count, query, among = packages) {
  assert.equal(hits.length, count);
  const best = among.map(({ vector }) => cosine(vector, query)).sort((a, b) => b - a);
  hits.forEach(({ score }, i) => assert.ok(Math.abs(score - best[i]) < 1e-4, `${score} at ${i}, not ${best[i]}`));
}

async function search() {
  const text = 'backup files to the cloud';
  const query = queries.get(text);
  const { points } = await client.query(COLLECTION, { query, params, limit: 5, with_payload: true });
  show(`“${text}”`, points);
  assertNearest(points, 5, query);

  const texts = ['edit photos', 'chess game', 'password manager'];
  const searches = texts.map((text) => ({ query: queries.get(text), params, limit: 1, with_payload: true }));
  const answers = await client.queryBatch(COLLECTION, { searches });
  texts.forEach((text, i) => {
    console.log(`  Best for “${text}”: ${answers[i].points[0].payload.name}`);
    assertNearest(answers[i].points, 1, queries.get(text));
  });
}

async function filtered() {
  const text = 'compress files very fast';
  const query = queries.get(text);
  const filter = {
    must: [
      { key: 'section', match: { any: ['utils', 'admin'] } },
      { key: 'installed_kb', range: { lt: 1000 } },
    ],
  };
  const { points } = await client.query(COLLECTION, { query, filter, params, limit: 5, with_payload: true });
  show(`“${text}”, in utils or admin, below a megabyte`, points);
  const isWanted = ({ section, installed_kb }) => ['utils', 'admin'].includes(section) && installed_kb < 1000;
  const wanted = packages.filter(isWanted);
  assert.ok(points.every(({ payload }) => isWanted(payload)));
  assertNearest(points, 5, query, wanted);
  assert.equal((await client.count(COLLECTION, { filter })).count, wanted.length);
}

async function grouped() {
  const text = 'web server with reverse proxy';
  const query = queries.get(text);
  const wish = { query, params, group_by: 'section', limit: 3, group_size: 2, with_payload: true };
  const { groups } = await client.queryGroups(COLLECTION, wish);
  show(`“${text}”, the best two of each section`, groups.flatMap(({ hits }) => hits));
  assert.equal(groups.length, 3);
  for (const { id, hits } of groups) {
    assertNearest(hits, 2, query, packages.filter(({ section }) => section === id));
  }
}

/** Two searches fused: by meaning, and by meaning among those that have the word. */
async function wordsAndMeaning() {
  const [text, word] = ['monitor network traffic', 'network'];
  const query = queries.get(text);
  const hasWord = { must: [{ key: 'summary', match: { text: word } }] };
  const { points } = await client.query(COLLECTION, {
    prefetch: [{ query, limit: 20 }, { query, filter: hasWord, limit: 20 }],
    query: { fusion: 'rrf' },
    limit: 5,
    with_payload: true,
  });
  show(`“${text}”, better with the word “${word}”`, points);
  assert.match(points[0].payload.summary, new RegExp(word, 'i'));
}

async function recommended() {
  const [liked, disliked] = ['ascd', 'gom'].map((name) => packages.find((p) => p.name === name));
  const query = { recommend: { positive: [liked.id], negative: [disliked.id] } };
  const { points } = await client.query(COLLECTION, { query, params, limit: 5, with_payload: true });
  show('Like ascd, unlike gom', points);
  // As far from what is disliked as that is from what is liked. The two themselves are not recommended.
  const wished = liked.vector.map((value, i) => 2 * value - disliked.vector[i]);
  assertNearest(points, 5, wished, packages.filter((p) => p !== liked && p !== disliked));
}

async function listed() {
  console.log('\nThe largest sections:');
  const { hits } = await client.facet(COLLECTION, { key: 'section', limit: 3 });
  for (const { value, count } of hits) {
    console.log(`  ${String(count).padStart(5)}  ${value}`);
    assert.equal(count, packages.filter(({ section }) => section === value).length);
  }

  const seen = [];
  let offset = undefined;
  do {
    const page = await client.scroll(COLLECTION, { limit: 500, offset, with_payload: false });
    seen.push(...page.points.map(({ id }) => id));
    offset = page.next_page_offset;
  } while (offset != null);
  assert.deepEqual(seen, packages.map(({ id }) => id), 'pages have every point once');
}

async function deleted() {
  const filter = { must: [{ key: 'section', match: { value: 'doc' } }] };
  await client.delete(COLLECTION, { filter, wait: true });
  const { count } = await client.count(COLLECTION);
  console.log(`\nWithout documentation, ${count} packages are left`);
  assert.equal(count, packages.filter(({ section }) => section !== 'doc').length);
}

await client.deleteCollection(COLLECTION);
for (const part of [fill, search, filtered, grouped, wordsAndMeaning, recommended, listed, deleted]) {
  await part();
}
await client.deleteCollection(COLLECTION);
