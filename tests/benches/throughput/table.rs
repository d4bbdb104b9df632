//! What comes out, as a table that is also Markdown.

use crate::measure::Measured;

pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(peers: impl Iterator<Item = &'static str>) -> Self {
        let peers: Vec<&str> = peers.collect();
        let mut head = vec![String::new()];
        let clients = ["floor", "adapter"].iter().chain(&peers);
        head.extend(clients.map(ToString::to_string));
        let others = ["floor"].iter().chain(&peers);
        head.extend(others.map(|other| format!("against {other}")));
        Self { rows: vec![head] }
    }

    /// How many in a second.
    pub(crate) fn rate(&mut self, name: &str, count: u64, best: &[Option<Measured>]) {
        let seconds = |it: Measured| it.seconds;
        self.row(name, best, seconds, |seconds| {
            format!("{:.0}", count as f64 / seconds)
        });
    }

    /// The processor's time for one.
    pub(crate) fn each(&mut self, name: &str, count: u64, best: &[Option<Measured>]) {
        let each = |it: Measured| Some(it.processor? / count as f64);
        self.micros(name, best, each);
    }

    pub(crate) fn micros(
        &mut self,
        name: &str,
        best: &[Option<Measured>],
        pick: impl Fn(Measured) -> Option<f64>,
    ) {
        self.row(name, best, pick, |seconds| {
            let micros = seconds * 1e6;
            let places = usize::from(micros < 100.0) + usize::from(micros < 10.0);
            format!("{micros:.places$} µs")
        });
    }

    pub(crate) fn bytes(&mut self, name: &str, best: &[Option<Measured>]) {
        let bytes = |it: Measured| it.bytes;
        self.row(name, best, bytes, |bytes| {
            format!("{:.1} KiB", bytes / 1024.0)
        });
    }

    /// The figures, of which less is better, and how many times better the adapter is.
    fn row(
        &mut self,
        name: &str,
        best: &[Option<Measured>],
        pick: impl Fn(Measured) -> Option<f64>,
        show: impl Fn(f64) -> String,
    ) {
        let figures: Vec<Option<f64>> = best.iter().map(|it| it.and_then(&pick)).collect();
        let absent = || "–".to_owned();
        let mut row = vec![name.to_owned()];
        row.extend(figures.iter().map(|it| it.map_or_else(absent, &show)));
        let adapter = figures[1];
        let others = figures[..1].iter().chain(&figures[2..]);
        row.extend(others.map(|other| {
            other
                .zip(adapter)
                .map_or_else(absent, |(other, adapter)| format!("{:.2}", other / adapter))
        }));
        println!("{}", row.join("  "));
        self.rows.push(row);
    }

    pub(crate) fn print(&self) {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        println!();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).enumerate();
            let cells: Vec<String> = cells
                .map(|(column, (cell, &width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            println!("| {} |", cells.join(" | "));
            if number == 0 {
                let line = |(column, &width): (usize, &usize)| match column {
                    0 => "-".repeat(width),
                    _ => format!("{}:", "-".repeat(width.saturating_sub(1))),
                };
                let lines: Vec<String> = widths.iter().enumerate().map(line).collect();
                println!("| {} |", lines.join(" | "));
            }
        }
    }
}
