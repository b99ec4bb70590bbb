//! The text of OpenMetrics 1.0, and that of Prometheus before it.

use std::fmt::{Display, Write};

use crate::server::times::Times;

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    OpenMetrics,
    /// For programs that only know the older text of Prometheus, as `promtool check metrics`: it names counters with
    /// their ending, and has no units, no kind `info` and no end.
    Prometheus,
}

impl Form {
    /// What a page is served as.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Form::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A page that is being written, one family of metrics after the other.
#[derive(Debug)]
pub(super) struct Page {
    form: Form,
    text: String,
}

impl Page {
    pub(super) fn new(form: Form) -> Page {
        Page { form, text: String::new() }
    }

    /// A value that goes up and down.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, "", &[], value);
    }

    /// A value that only grows.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(name, "_total", &[], value);
    }

    /// Some of them, each with its value of one label.
    pub(super) fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        self.family(name, "counter", help);
        for (word, value) in values {
            self.sample(name, "_total", &[(label, word)], value);
        }
    }

    /// Words that do not change while the server runs.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) {
        self.family(name, "info", help);
        self.sample(name, "_info", labels, 1);
    }

    /// How long something took.
    pub(super) fn histogram(&mut self, name: &str, help: &str, times: &Times) {
        self.family(name, "histogram", help);
        self.distribution(name, None, times);
    }

    /// How long several things took, each with its value of one label.
    pub(super) fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &'a str,
        values: impl IntoIterator<Item = (&'a str, &'a Times)>,
    ) {
        self.family(name, "histogram", help);
        for (word, times) in values {
            self.distribution(name, Some((label, word)), times);
        }
    }

    fn distribution(&mut self, name: &str, label: Option<(&str, &str)>, times: &Times) {
        let of: Vec<(&str, &str)> = label.into_iter().collect();
        for (bound, count) in times.upto() {
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| format!("{:?}", bound.as_secs_f64()));
            self.sample(name, "_bucket", &[&of[..], &[("le", &bound)]].concat(), count);
        }
        self.sample(name, "_count", &of, times.count());
        self.sample(name, "_sum", &of, times.sum().as_secs_f64());
    }

    /// The text, with its end.
    pub(super) fn finish(mut self) -> String {
        match self.form {
            Form::OpenMetrics => self.text += "# EOF\n",
            Form::Prometheus => {}
        }
        self.text
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let (ending, kind) = match (self.form, kind) {
            (Form::Prometheus, "counter") => ("_total", kind),
            (Form::Prometheus, "info") => ("_info", "gauge"),
            (Form::Prometheus | Form::OpenMetrics, _) => ("", kind),
        };
        // Writing to a string does not fail, here and below.
        let _ = writeln!(self.text, "# TYPE {name}{ending} {kind}");
        let unit = ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(&format!("_{unit}")));
        if let Some(unit) = unit.filter(|_| self.form == Form::OpenMetrics) {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.text, "# HELP {name}{ending} {}", escaped(help));
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{name}{suffix}");
        for (at, (label, word)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(word));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_kind_is_written_as_the_format_says() {
        let mut page = Page::new(Form::OpenMetrics);
        page.info("hobnob", "Which.", &[("version", "1"), ("of", "a \"b\"\\\n")]);
        page.counters("tries", "Tries.", "result", [("ok", 3), ("wrong", 0)]);
        page.gauge("store_bytes", "Bytes.", 7);
        let mut times = Times::default();
        times.note(Duration::from_micros(1_500));
        times.note(Duration::from_secs(60));
        page.histogram("commit_seconds", "Times.", &times);
        page.histograms("told_seconds", "Times.", "way", [("mail", &times)]);
        let expected = "\
# TYPE hobnob info
# HELP hobnob Which.
hobnob_info{version=\"1\",of=\"a \\\"b\\\"\\\\\\n\"} 1
# TYPE tries counter
# HELP tries Tries.
tries_total{result=\"ok\"} 3
tries_total{result=\"wrong\"} 0
# TYPE store_bytes gauge
# UNIT store_bytes bytes
# HELP store_bytes Bytes.
store_bytes 7
# TYPE commit_seconds histogram
# UNIT commit_seconds seconds
# HELP commit_seconds Times.
commit_seconds_bucket{le=\"0.0005\"} 0
commit_seconds_bucket{le=\"0.001\"} 0
commit_seconds_bucket{le=\"0.0025\"} 1
commit_seconds_bucket{le=\"0.005\"} 1
commit_seconds_bucket{le=\"0.01\"} 1
commit_seconds_bucket{le=\"0.025\"} 1
commit_seconds_bucket{le=\"0.05\"} 1
commit_seconds_bucket{le=\"0.1\"} 1
commit_seconds_bucket{le=\"0.25\"} 1
commit_seconds_bucket{le=\"0.5\"} 1
commit_seconds_bucket{le=\"1.0\"} 1
commit_seconds_bucket{le=\"2.5\"} 1
commit_seconds_bucket{le=\"5.0\"} 1
commit_seconds_bucket{le=\"10.0\"} 1
commit_seconds_bucket{le=\"+Inf\"} 2
commit_seconds_count 2
commit_seconds_sum 60.0015
# TYPE told_seconds histogram
# UNIT told_seconds seconds
# HELP told_seconds Times.
told_seconds_bucket{way=\"mail\",le=\"0.0005\"} 0
told_seconds_bucket{way=\"mail\",le=\"0.001\"} 0
told_seconds_bucket{way=\"mail\",le=\"0.0025\"} 1
told_seconds_bucket{way=\"mail\",le=\"0.005\"} 1
told_seconds_bucket{way=\"mail\",le=\"0.01\"} 1
told_seconds_bucket{way=\"mail\",le=\"0.025\"} 1
told_seconds_bucket{way=\"mail\",le=\"0.05\"} 1
told_seconds_bucket{way=\"mail\",le=\"0.1\"} 1
told_seconds_bucket{way=\"mail\",le=\"0.25\"} 1
told_seconds_bucket{way=\"mail\",le=\"0.5\"} 1
told_seconds_bucket{way=\"mail\",le=\"1.0\"} 1
told_seconds_bucket{way=\"mail\",le=\"2.5\"} 1
told_seconds_bucket{way=\"mail\",le=\"5.0\"} 1
told_seconds_bucket{way=\"mail\",le=\"10.0\"} 1
told_seconds_bucket{way=\"mail\",le=\"+Inf\"} 2
told_seconds_count{way=\"mail\"} 2
told_seconds_sum{way=\"mail\"} 60.0015
# EOF
";
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn the_older_text_has_what_it_knows() {
        let mut page = Page::new(Form::Prometheus);
        page.info("hobnob", "Which.", &[("version", "1")]);
        page.counter("tries", "Tries.", 3);
        page.gauge("store_bytes", "Bytes.", 7);
        let expected = "\
# TYPE hobnob_info gauge
# HELP hobnob_info Which.
hobnob_info{version=\"1\"} 1
# TYPE tries_total counter
# HELP tries_total Tries.
tries_total 3
# TYPE store_bytes gauge
# HELP store_bytes Bytes.
store_bytes 7
";
        assert_eq!(page.finish(), expected);
    }
}
