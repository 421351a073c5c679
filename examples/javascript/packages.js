// What the example searches: Debian packages and queries, with the embeddings of
// their texts from files. A program of yours would ask a model for them instead.

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

const FOLDER = new URL('../../bench/data/debian-20k/', import.meta.url);

/** The first `count` packages, each with its vector, and all queries by their texts. */
export function load(count) {
  const lines = gunzipSync(read('points.jsonl.gz')).toString().split('\n').slice(0, count);
  const vectors = rows(read('vectors.f16.npy'), count);
  const texts = read('queries.txt').toString().trimEnd().split('\n');
  const queries = rows(read('queries.f16.npy'), texts.length);
  return {
    packages: lines.map((line, i) => ({ ...JSON.parse(line), vector: vectors[i] })),
    queries: new Map(texts.map((text, i) => [text, queries[i]])),
  };
}

/** How near two vectors are: the cosine of the angle between them. */
export function cosine(a, b) {
  const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** Prints what was found as a person reads it. */
export function show(title, hits) {
  console.log(`\n${title}`);
  for (const { score, payload } of hits) {
    const name = payload.name.slice(0, 28).padEnd(28);
    console.log(`  ${score.toFixed(2)}  ${name}  ${payload.section.padEnd(12)}  ${payload.summary.slice(0, 60)}`);
  }
}

function read(file) {
  return readFileSync(new URL(file, FOLDER));
}

/** The first rows of one of NumPy's files, of numbers of 16 bits. */
function rows(file, count) {
  const start = 10 + file.readUInt16LE(8);
  const header = file.toString('latin1', 10, start);
  const columns = Number(header.match(/'<f2'.*\(\d+, (\d+)\)/)[1]);
  return Array.from({ length: count }, (_, row) =>
    Array.from({ length: columns }, (_, column) => float16(file.readUInt16LE(start + 2 * (row * columns + column)))),
  );
}

/** A number of 16 bits: a sign, 5 bits of exponent, 10 of fraction. */
function float16(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = (bits & 0x3ff) / 1024;
  return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}
