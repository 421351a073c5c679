#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used)]
use quoit_disk::RealDisk;
use quoit_engine::*;
use quoit_ring::*;
use rand::prelude::*;
use std::sync::Arc;
use std::time::Instant;
fn main() {
    let n = 20000;
    let d = 384;
    let mut rng = StdRng::seed_from_u64(7);
    let centers: Vec<Vec<f32>> = (0..200)
        .map(|_| (0..d).map(|_| rng.random_range(-1.0..1.0)).collect())
        .collect();
    let mut gen_v = || {
        let c = &centers[rng.random_range(0..200)];
        let v: Vec<f32> = c
            .iter()
            .map(|x| x + rng.random_range(-0.7..0.7f32))
            .collect();
        let m = v.iter().map(|x| x * x).sum::<f32>().sqrt();
        v.iter().map(|x| x / m).collect::<Vec<f32>>()
    };
    let vs: Vec<Vec<f32>> = (0..n).map(|_| gen_v()).collect();
    let qs: Vec<Vec<f32>> = (0..1000).map(|_| gen_v()).collect();
    let dir = tempfile::tempdir().unwrap();
    let count = VnodeCount::new(4096).unwrap();
    let params = Params {
        dimension: d,
        metric: Metric::Cosine,
        index: Some(HnswParams::default()),
        vnodes: count,
    };
    let e = Engine::open(Arc::new(RealDisk), dir.path(), params, Tuning::default()).unwrap();
    let all: VnodeSet = count.iter().collect();
    e.apply(vec![(1, Entry::Found(all.clone()))]).unwrap();
    let t = Instant::now();
    for (i, ch) in vs.chunks(100).enumerate() {
        let w = ch
            .iter()
            .enumerate()
            .map(|(j, v)| {
                let id = PointId::Num((i * 100 + j) as u64);
                VnodeWrite {
                    vnode: count.vnode_of(&id.to_key()),
                    operations: vec![Operation::Upsert {
                        id,
                        vector: v.clone(),
                        payload: vec![b' '; 200],
                    }],
                }
            })
            .collect();
        e.apply(vec![(i as u64 + 2, Entry::Write(w))]).unwrap();
    }
    println!("apply {:?}", t.elapsed());
    let t = Instant::now();
    while e.index_step().unwrap() != IndexStep::Idle {}
    println!("index {:?}", t.elapsed());
    let t = Instant::now();
    e.checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    println!("checkpoint {:?}", t.elapsed());
    let ix = usearch::Index::new(&usearch::IndexOptions {
        dimensions: d,
        metric: usearch::MetricKind::IP,
        quantization: usearch::ScalarKind::BF16,
        connectivity: 16,
        expansion_add: 128,
        expansion_search: 1,
        multi: false,
    })
    .unwrap();
    ix.reserve_capacity_and_threads(32768, 32).unwrap();
    let t = Instant::now();
    std::thread::scope(|s| {
        for k in 0..2 {
            let ix = &ix;
            let vs = &vs;
            s.spawn(move || {
                for i in (k..n).step_by(2) {
                    ix.add(i as u64, &vs[i]).unwrap();
                }
            });
        }
    });
    println!("bare build {:?}", t.elapsed());
    let truth: Vec<Vec<u64>> = qs
        .iter()
        .map(|q| {
            let mut x: Vec<(f32, u64)> = vs
                .iter()
                .enumerate()
                .map(|(i, v)| (Metric::Cosine.distance(q, v), i as u64))
                .collect();
            x.sort_by(|a, b| a.0.total_cmp(&b.0));
            x[..10].iter().map(|p| p.1).collect()
        })
        .collect();
    let view = e.view();
    fn cpu() -> u64 {
        std::fs::read_to_string("/proc/thread-self/schedstat")
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }
    for ef in [64, 48, 40, 32] {
        for round in 0..6 {
            let (mut bare, mut eng, mut hit, mut ehit) = (0, 0, 0, 0);
            for (q, tr) in qs.chunks(25).zip(truth.chunks(25)) {
                let t = cpu();
                for (q, tr) in q.iter().zip(tr) {
                    let m = ix.search(q, 64).unwrap();
                    hit += m.keys[..10].iter().filter(|k| tr.contains(k)).count();
                }
                bare += cpu() - t;
                let t = cpu();
                for (q, tr) in q.iter().zip(tr) {
                    let a = view
                        .search(
                            &all,
                            &[Query {
                                vector: q.clone(),
                                limit: 10,
                                ef: Some(ef),
                                ..Query::default()
                            }],
                        )
                        .unwrap();
                    ehit += a.found[0]
                        .iter()
                        .filter(|h| matches!(h.record.id,PointId::Num(k) if tr.contains(&k)))
                        .count();
                }
                eng += cpu() - t;
            }
            println!(
                "ef {ef} {round} bare {:.1}us {:.4}  engine {:.1}us {:.4}  ratio {:.3}",
                bare as f64 / 1e6,
                hit as f64 / 10000.,
                eng as f64 / 1e6,
                ehit as f64 / 10000.,
                bare as f64 / eng as f64
            );
        }
    }
}
