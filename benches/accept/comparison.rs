//! Several sides measured in turn, and told as ratios to the first.

use crate::Bench;
use crate::side::{Measured, Side};
use crate::spread::Spread;
use crate::stores::Kind;

/// What is compared. The first side is what the others are compared with.
pub(crate) struct Comparison<'a> {
    pub(crate) what: &'a str,
    pub(crate) connections: usize,
    pub(crate) ratio: Ratio,
    pub(crate) sides: &'a [(&'a str, Side<'a>)],
}

impl Comparison<'_> {
    /// On every store that there is.
    pub(crate) async fn print(&self, bench: &Bench) {
        for kind in bench.stores.kinds() {
            self.print_on(bench, kind).await;
        }
    }

    pub(crate) async fn print_on(&self, bench: &Bench, kind: Kind) {
        let runs = self.measure(bench, kind).await;
        println!("{}, {}; connections: {}\n", kind.name(), self.what, self.connections);
        println!("| | events/s | {} | p50 ms | p99 ms | resident MiB |", self.ratio.heading());
        println!("|---|---|---|---|---|---|");
        for (place, ((name, _), of_side)) in self.sides.iter().zip(&runs).enumerate() {
            let pairs = runs[0].iter().zip(of_side).map(|(first, other)| self.ratio.of(first, other));
            let told = if place == 0 { "1".to_owned() } else { Spread::of(pairs).hundredths() };
            println!("| {name} | {} |", row(of_side, &told));
        }
        self.print_jobs_left(&runs);
        println!();
    }

    /// The runs of each side, one of each in turn.
    async fn measure(&self, bench: &Bench, kind: Kind) -> Vec<Vec<Measured>> {
        let mut runs = vec![Vec::new(); self.sides.len()];
        for _ in 0..bench.pace.runs {
            for ((_, side), of_side) in self.sides.iter().zip(&mut runs) {
                of_side.push(side.measure(bench, kind, self.connections).await);
            }
        }
        runs
    }

    /// How far handlers fell behind those who accept: what is accepted faster than it is handled waits.
    fn print_jobs_left(&self, runs: &[Vec<Measured>]) {
        for ((name, _), of_side) in self.sides.iter().zip(runs) {
            if let Some(most) = of_side.iter().filter_map(|measured| measured.jobs_left).max() {
                println!("\n{name}: at most {most} jobs were left when a run ended");
            }
        }
    }
}

/// What a ratio says.
#[derive(Clone, Copy)]
pub(crate) enum Ratio {
    /// The first's rate divided by the other's.
    Multiple,
    /// The other's rate divided by the first's.
    Share,
    /// The other's median latency divided by the first's.
    Latency,
}

impl Ratio {
    const fn heading(self) -> &'static str {
        match self {
            Self::Multiple => "the first's rate / its",
            Self::Share => "its rate / the first's",
            Self::Latency => "its p50 / the first's",
        }
    }

    fn of(self, first: &Measured, other: &Measured) -> f64 {
        match self {
            Self::Multiple => first.run.rate / other.run.rate,
            Self::Share => other.run.rate / first.run.rate,
            Self::Latency => other.run.p50 / first.run.p50,
        }
    }
}

fn row(runs: &[Measured], ratio: &str) -> String {
    let spread = |figure: fn(&Measured) -> f64| Spread::of(runs.iter().map(figure));
    let rate = spread(|measured| measured.run.rate).whole();
    let p50 = spread(|measured| measured.run.p50).hundredths();
    let p99 = spread(|measured| measured.run.p99).hundredths();
    let resident = runs.iter().filter_map(|measured| measured.resident_mib).max();
    let resident = resident.map_or_else(String::new, |mib| mib.to_string());
    format!("{rate} | {ratio} | {p50} | {p99} | {resident}")
}
