//! tmp
fn main() {
    let start = std::time::Instant::now();
    let only = std::env::args().nth(3).is_some();
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let len: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let mut events = 0;
    for seed in 0..n {
        let steps = hobnob::sim::scenario::from_seed(seed, len);
        events += hobnob::sim::run::play(&steps, hobnob::sim::run::Plan { hash_seed: 1, server_only: only });
    }
    let secs = start.elapsed().as_secs_f64();
    println!("{events} events, {secs:.2} s, {:.2} M/min", events as f64 / secs * 60.0 / 1e6);
}
