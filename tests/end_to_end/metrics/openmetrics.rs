//! A strict reader of OpenMetrics 1.0, as far as a page without timestamps and exemplars goes.

use std::collections::{BTreeMap, BTreeSet};

/// The samples of a page by their names with labels, as they are written: `name{label="value"}`.
pub(super) type Samples = BTreeMap<String, f64>;

/// A family of metrics, as far as it was read.
#[derive(Debug, Default)]
struct Family {
    name: String,
    kind: String,
    unit: Option<String>,
    help: Option<String>,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: Labels,
    value: f64,
}

type Labels = Vec<(String, String)>;

/// Reads a page.
///
/// # Panics
/// If it is no page of OpenMetrics.
pub(super) fn read(page: &str) -> Samples {
    let text = page.strip_suffix("# EOF\n").expect("the page ends with its mark");
    assert!(text.is_empty() || text.ends_with('\n'), "a line is cut short");
    let mut families: Vec<Family> = Vec::new();
    for line in text.lines() {
        assert!(!line.is_empty() && line.trim() == line, "a blank, or none where one is: {line:?}");
        match line.strip_prefix("# ") {
            Some(description) => describe(&mut families, description),
            None => take_sample(families.last_mut().expect("a description first"), line),
        }
    }
    let names: BTreeSet<&str> = families.iter().map(|family| family.name.as_str()).collect();
    assert_eq!(names.len(), families.len(), "a family is in one piece");
    let mut samples = Samples::new();
    for family in &families {
        assert!(family.help.is_some(), "no help: {}", family.name);
        if family.kind == "histogram" {
            check_histogram(family);
        }
        for Sample { name, labels, value } in &family.samples {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            let key =
                if labels.is_empty() { name.clone() } else { format!("{name}{{{}}}", labels.join(",")) };
            assert_eq!(samples.insert(key, *value), None, "twice: {name} {labels:?}");
        }
    }
    samples
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn describe(families: &mut Vec<Family>, description: &str) {
    let [what, name, words] = description.splitn(3, ' ').collect::<Vec<_>>()[..] else {
        panic!("no description: {description:?}")
    };
    assert!(is_name(name), "{description:?}");
    if what == "TYPE" {
        assert!(["counter", "gauge", "histogram", "info"].contains(&words), "{description:?}");
        let reserved = ["_total", "_created", "_bucket", "_count", "_sum", "_info"];
        assert!(!reserved.iter().any(|end| name.ends_with(end)), "{name} ends like a sample");
        families.push(Family { name: name.to_owned(), kind: words.to_owned(), ..Family::default() });
        return;
    }
    let family = families.last_mut().filter(|family| family.name == name).expect("its type first");
    assert!(family.samples.is_empty(), "descriptions come first: {description:?}");
    let field = match what {
        "UNIT" => {
            assert!(name.ends_with(&format!("_{words}")), "{name} is not in {words}");
            &mut family.unit
        }
        "HELP" => &mut family.help,
        _ => panic!("no description: {description:?}"),
    };
    assert_eq!(field.replace(words.to_owned()), None, "twice: {description:?}");
}

fn take_sample(family: &mut Family, line: &str) {
    let (before, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = match before.split_once('{') {
        Some((name, labels)) => (name, read_labels(labels.strip_suffix('}').expect("an end of labels"))),
        None => (before, Vec::new()),
    };
    let suffix = name.strip_prefix(&family.name).unwrap_or_else(|| panic!("{name} is of no family"));
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line:?} has no value"));
    assert!(value.is_finite(), "{line:?}");
    match (family.kind.as_str(), suffix) {
        ("gauge", "") => {}
        ("counter", "_total") | ("histogram", "_bucket" | "_count" | "_sum") => {
            assert!(value >= 0.0, "{line:?}")
        }
        ("info", "_info") => assert_eq!(line.rsplit(' ').next(), Some("1"), "{line:?}"),
        (kind, _) => panic!("a {kind} has no sample {name}"),
    }
    family.samples.push(Sample { name: name.to_owned(), labels, value });
}

/// What is between the braces.
fn read_labels(mut text: &str) -> Labels {
    let mut labels = Labels::new();
    loop {
        let (name, rest) = text.split_once("=\"").expect("a label");
        assert!(is_name(name) && labels.iter().all(|(other, _)| other != name), "{text:?}");
        let mut value = String::new();
        let mut letters = rest.char_indices();
        let end = loop {
            match letters.next().expect("an end of the value") {
                (at, '"') => break at,
                (_, '\\') => match letters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, letter @ ('\\' | '"'))) => value.push(letter),
                    other => panic!("escaped: {other:?}"),
                },
                (_, letter) => value.push(letter),
            }
        };
        labels.push((name.to_owned(), value));
        text = &rest[end + 1..];
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None if text.is_empty() => return labels,
            None => panic!("after a label: {text:?}"),
        }
    }
}

/// Classes of each distribution in order, each counting those below; the last is all of them.
fn check_histogram(family: &Family) {
    let mut distributions: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for Sample { name, labels, value } in &family.samples {
        if name.ends_with("_bucket") {
            let (bound, of): (Vec<_>, Vec<_>) = labels.iter().cloned().partition(|(name, _)| name == "le");
            let bound = bound.first().expect("a bound").1.parse().expect("a number");
            distributions.entry(of).or_default().push((bound, *value));
        }
    }
    assert!(!distributions.is_empty(), "{}", family.name);
    for (of, classes) in distributions {
        let rises = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
        assert!(classes.windows(2).all(rises), "{} {of:?}", family.name);
        let (bound, all) = *classes.last().expect("a class");
        assert!(bound.is_infinite(), "{} {of:?}", family.name);
        let value = |end: &str| {
            let is_it = |sample: &&Sample| sample.name.ends_with(end) && sample.labels == of;
            family.samples.iter().find(is_it).map(|sample| sample.value)
        };
        assert_eq!(value("_count"), Some(all), "{} {of:?}", family.name);
        assert!(value("_sum").is_some(), "{} {of:?}", family.name);
    }
}

#[test]
fn what_is_no_page_is_refused() {
    let good = "# TYPE a counter\n# HELP a A.\na_total{b=\"\\\"c\\\\\"} 1\n# EOF\n";
    assert_eq!(read(good).into_iter().collect::<Vec<_>>(), [(r#"a_total{b="\"c\\"}"#.to_owned(), 1.0)]);
    for bad in [
        "# TYPE a counter\n# HELP a A.\na_total 1\n",
        "# TYPE a counter\n# HELP a A.\na 1\n# EOF\n",
        "# TYPE a counter\n# HELP a A.\na_total -1\n# EOF\n",
        "# TYPE a counter\n# HELP a A.\na_total 1\na_total 2\n# EOF\n",
        "# TYPE a counter\na_total 1\n# EOF\n",
        "# TYPE a_total counter\n# HELP a_total A.\na_total_total 1\n# EOF\n",
        "# TYPE a gauge\n# UNIT a bytes\n# HELP a A.\na 1\n# EOF\n",
        "# TYPE a gauge\n# HELP a A.\na NaN\n# EOF\n",
        "# TYPE a gauge\n# HELP a A.\n\na 1\n# EOF\n",
        "# TYPE a gauge\n# HELP a A.\na{b=\"\\t\"} 1\n# EOF\n",
        "# TYPE a gauge\n# HELP a A.\na{b=\"1\",b=\"2\"} 1\n# EOF\n",
        "# TYPE a gauge\n# HELP a A.\na 1\n# EOF\n# EOF\n",
        "# TYPE a histogram\n# HELP a A.\na_bucket{le=\"1.0\"} 1\na_count 1\na_sum 1\n# EOF\n",
        "# TYPE a histogram\n# HELP a A.\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n# EOF\n",
        "# TYPE a histogram\n# HELP a A.\na_bucket{le=\"+Inf\"} 1\na_count 2\na_sum 1\n# EOF\n",
    ] {
        assert!(std::panic::catch_unwind(|| read(bad)).is_err(), "{bad:?}");
    }
}
