//! The figures as a table, each held against what it must be.

use std::fmt::Write;

/// How a figure is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// It must be at least this, and should be at least that.
    AtLeast(f64, f64),
    /// It must be at most this, and should be at most that.
    AtMost(f64, f64),
    /// Shown, not judged.
    None,
}

/// One figure.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    /// The yardstick of the same run.
    pub(crate) other: Option<f64>,
    /// The figure that is judged: the ratio, or ours itself.
    pub(crate) judged: Judged,
    pub(crate) target: Target,
}

/// The part of a row that the target is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    Ratio,
    Ours,
}

/// All rows, printed as they come and again at the end.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Row {
    /// A figure whose ratio to another counts. The ratio is that of the figures shown.
    pub(crate) fn ratio(
        name: impl Into<String>,
        unit: &'static str,
        ours: f64,
        other: f64,
        target: Target,
    ) -> Row {
        Row { name: name.into(), unit, ours, other: Some(other), judged: Judged::Ratio, target }
    }

    /// A figure that counts by itself.
    pub(crate) fn alone(name: impl Into<String>, unit: &'static str, ours: f64, target: Target) -> Row {
        Row { name: name.into(), unit, ours, other: None, judged: Judged::Ours, target }
    }

    /// The same beside a figure that explains it.
    pub(crate) fn beside(self, other: f64) -> Row {
        Row { other: Some(other), ..self }
    }

    fn verdict(&self) -> &'static str {
        let ratio = self.other.map(|other| self.ours / other);
        let figure = match self.judged {
            Judged::Ratio => ratio.unwrap_or(f64::NAN),
            Judged::Ours => self.ours,
        };
        match self.target {
            Target::AtLeast(_, aim) if figure >= aim => "aim",
            Target::AtLeast(must, _) if figure >= must => "pass",
            Target::AtMost(_, aim) if figure <= aim => "aim",
            Target::AtMost(must, _) if figure <= must => "pass",
            Target::AtLeast(..) | Target::AtMost(..) => "MISS",
            Target::None => "",
        }
    }

    fn line(&self) -> String {
        let other = self.other.map_or(String::new(), number);
        let ratio = self.other.map_or(String::new(), |other| format!("{:.2}", self.ours / other));
        let (must, aim) = match self.target {
            Target::AtLeast(must, aim) => (format!("≥ {}", number(must)), format!("≥ {}", number(aim))),
            Target::AtMost(must, aim) => (format!("≤ {}", number(must)), format!("≤ {}", number(aim))),
            Target::None => (String::new(), String::new()),
        };
        let ours = number(self.ours);
        let Row { name, unit, .. } = self;
        let verdict = self.verdict();
        format!(
            "| {name:<60} | {unit:<8} | {ours:>9} | {other:>9} | {ratio:>6} | {must:>8} | {aim:>8} | {verdict:<4} |"
        )
    }
}

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        println!("{}", row.line());
        self.rows.push(row);
    }

    /// The whole, with what misses its target counted.
    pub(crate) fn show(&self) -> String {
        let mut text = heading();
        for row in &self.rows {
            text.push_str(&row.line());
            text.push('\n');
        }
        let missed = self.rows.iter().filter(|row| row.verdict() == "MISS").count();
        let judged = self.rows.iter().filter(|row| !row.verdict().is_empty()).count();
        // Writing to a string does not fail.
        let _ = writeln!(text, "\n{missed} of {judged} figures miss what they must be.");
        text
    }
}

fn heading() -> String {
    let line = format!(
        "| {:<60} | {:<8} | {:>9} | {:>9} | {:>6} | {:>8} | {:>8} | {:<4} |\n",
        "figure", "unit", "ours", "beside", "ratio", "must", "aim", ""
    );
    let rule: String = line.chars().map(|c| if c == '|' || c == '\n' { c } else { '-' }).collect();
    line + &rule
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract().abs() < 1e-9 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// The median.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}
