//! What is written about metrics names those that are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{page, watched};

fn paper(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// The words of a text that look like names of metrics.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
    words.filter(|word| word.starts_with("hobnob_") || word.starts_with("process_")).collect()
}

/// What the page calls its samples.
fn samples_of(page: &str) -> BTreeSet<&str> {
    let mut samples: BTreeSet<&str> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    // There is none before the first.
    assert!(page.contains("# TYPE hobnob_limits_reached counter\n"), "{page}");
    samples.insert("hobnob_limits_reached_total");
    samples
}

#[test]
fn rules_dashboard_and_handbook_name_metrics_that_are_there() {
    let (_server, metrics) = watched(&[]);
    let page = page(metrics);
    let samples = samples_of(&page);
    let handbook = paper("docs/operating.md");
    // Of a histogram its family is named.
    let families: BTreeSet<&str> = samples
        .iter()
        .filter(|name| !name.ends_with("_bucket") && !name.ends_with("_sum"))
        .map(|name| name.strip_suffix("_count").unwrap_or(name))
        .collect();
    for (name, text) in [
        ("the rules", paper("packaging/metrics/alerts.yml")),
        ("the dashboard", paper("packaging/metrics/dashboard.json")),
    ] {
        let named = metrics_in(&text);
        let unknown: Vec<_> =
            named.iter().filter(|name| !samples.contains(*name) && !families.contains(*name)).collect();
        assert!(named.len() > 5 && unknown.is_empty(), "{name}: {unknown:?}");
    }
    let (_, watching) = handbook.split_once("\n## What to watch\n").expect("a section");
    let (watching, _) = watching.split_once("\n## ").expect("its end");
    let named = metrics_in(watching);
    assert_eq!(named.difference(&families).collect::<Vec<_>>(), Vec::<&&str>::new(), "not there");
    assert_eq!(families.difference(&named).collect::<Vec<_>>(), Vec::<&&str>::new(), "not explained");
}

#[test]
fn every_panel_of_the_dashboard_asks_for_something() {
    let dashboard: Value = serde_json::from_str(&paper("packaging/metrics/dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each has an id of its own");
    for panel in panels {
        assert!(panel["title"].as_str().is_some_and(|title| !title.is_empty()), "{panel}");
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            assert!(target["expr"].as_str().is_some_and(|asked| asked.contains("$instance")), "{target}");
        }
    }
}
