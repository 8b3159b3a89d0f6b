//! Systems whose demands are known, solved exactly: what predictions and verdicts are tested on.

mod verdicts;

use crate::bounds::Demands;

/// A closed network of stations that serve one operation at a time, and a delay.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub stations: Vec<f64>,
    pub delay: f64,
}

impl Network {
    pub(crate) fn any(random: &mut Random) -> Self {
        let count = 1 + random.below(6);
        let delay = if random.below(4) == 0 { 0.0 } else { random.time() };
        Self { stations: (0..count).map(|_| random.time()).collect(), delay }
    }

    pub(crate) fn demands(&self) -> Demands {
        self.stations.iter().fold(Demands::delay(self.delay), |all, d| all.station(*d, 1.0))
    }
}

/// Throughput by exact mean value analysis (Reiser & Lavenberg 1980).
pub(crate) fn throughput(network: &Network, users: u32) -> f64 {
    solve(network, users).0
}

/// Throughput, and the time that an operation is at each station, its wait for the others included.
pub(crate) fn solve(network: &Network, users: u32) -> (f64, Vec<f64>) {
    let mut last = vec![0.0; network.stations.len()];
    let mut queues = vec![0.0; network.stations.len()];
    let mut x = 0.0;
    for n in 1..=users {
        let times: Vec<f64> =
            network.stations.iter().zip(&queues).map(|(d, queue)| d * (1.0 + queue)).collect();
        x = f64::from(n) / (network.delay + times.iter().sum::<f64>());
        for (queue, time) in queues.iter_mut().zip(&times) {
            *queue = x * time;
        }
        last = times;
    }
    (x, last)
}

/// The same for one station of several servers and a delay, whose state is the number of operations
/// at the station: a birth-death chain, solved exactly.
pub(crate) fn multi_server(demand: f64, servers: u32, delay: f64, users: u32) -> f64 {
    let rate = |at: u32| f64::from(at.min(servers)) / demand;
    // The weight of each state from that of the state before, scaled so that none overflows.
    let (mut weights, mut weight) = (vec![1.0_f64], 1.0_f64);
    for at in 1..=users {
        weight *= f64::from(users - at + 1) / delay / rate(at);
        weights.push(weight);
        if weight > 1e200 {
            for w in &mut weights {
                *w /= weight;
            }
            weight = 1.0;
        }
    }
    let sum: f64 = weights.iter().sum();
    (0..=users).map(|at| weights[at as usize] / sum * rate(at)).sum()
}

/// Numbers that are the same in every run (`SplitMix64`).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From 0.01 to 10, each decade as often as the next.
    pub(crate) fn time(&mut self) -> f64 {
        10_f64.powf(self.share() * 3.0 - 2.0)
    }

    /// From 1 to 200, small numbers as often as large ones.
    pub(crate) fn users(&mut self) -> u32 {
        200_f64.powf(self.share()).round() as u32
    }

    pub(crate) fn cores(&mut self) -> u32 {
        1 << self.below(5)
    }
}

#[test]
fn the_solvers_agree_with_textbook_values() {
    // Lazowska et al., section 6.2: D = 0.605, 2.1, 1.35 s, Z = 15 s; X(3) = 0.152.
    let network = Network { stations: vec![0.605, 2.1, 1.35], delay: 15.0 };
    assert!((throughput(&network, 1) - 0.0525).abs() < 1e-4);
    assert!((throughput(&network, 3) - 0.152).abs() < 5e-4, "{}", throughput(&network, 3));
    // One server: the chain and mean value analysis are the same.
    let single = Network { stations: vec![2.0], delay: 3.0 };
    assert!((multi_server(2.0, 1, 3.0, 7) - throughput(&single, 7)).abs() < 1e-12);
    // As many servers as users: nobody waits.
    assert!((multi_server(2.0, 8, 3.0, 8) - 8.0 / 5.0).abs() < 1e-12);
}
