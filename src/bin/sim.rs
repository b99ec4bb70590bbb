//! Runs the simulated world from a terminal. tmp
use hobnob::sim::run::Plan;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let only = args.iter().any(|a| a == "--server-only");
    let plan = Plan { hash_seed: 1, server_only: only };
    match args[0].as_str() {
        "run" => {
            let (a, b) = args[1].split_once("..").unwrap();
            let len: usize = args[2].parse().unwrap();
            let start = std::time::Instant::now();
            let (mut events, mut failed) = (0, std::collections::BTreeMap::<&str, Vec<u64>>::new());
            for seed in a.parse::<u64>().unwrap()..b.parse().unwrap() {
                let steps = hobnob::sim::scenario::from_seed(seed, len);
                let report = std::panic::catch_unwind(|| hobnob::sim::run::play(&steps, plan));
                let Ok(report) = report else { println!("PANIC seed {seed}"); failed.entry("panic").or_default().push(seed); continue; };
                events += report.events;
                if let Some((_, v)) = report.broken { failed.entry(v.rule).or_default().push(seed); if failed[v.rule].len() <= 2 { println!("seed {seed}: {} -- {}", v.rule, v.detail); } }
            }
            let secs = start.elapsed().as_secs_f64();
            println!("{events} events, {secs:.2} s, {:.2} M/min", events as f64 / secs * 60.0 / 1e6);
            for (rule, seeds) in failed { println!("{:4} {rule}: {:?}", seeds.len(), &seeds[..seeds.len().min(8)]); }
        }
        "small" => {
            let seed: u64 = args[1].parse().unwrap();
            let len: usize = args[2].parse().unwrap();
            let steps = hobnob::sim::scenario::from_seed(seed, len);
            let small = hobnob::sim::minimise::minimise(&steps, plan, 2000).expect("breaks no rule");
            print!("{}", hobnob::sim::scenario::print(&small.steps));
            let (report, story) = hobnob::sim::run::narrate(&small.steps, plan);
            let most = args.iter().position(|a| a == "--lines").map_or(60, |i| args[i + 1].parse().unwrap());
            for line in &story[story.len().saturating_sub(most)..] { println!("{line}"); }
            println!("{} steps, {} runs: {:?}", small.steps.len(), small.runs, report.broken);
        }
        _ => {
            let file = std::fs::read_to_string(&args[0]).unwrap();
            let steps = hobnob::sim::scenario::parse(&file).unwrap();
            let (report, story) = hobnob::sim::run::narrate(&steps, plan);
            for line in &story { println!("{line}"); }
            println!("{:?}", report.broken);
        }
    }
}
