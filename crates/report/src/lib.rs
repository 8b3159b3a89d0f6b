//! Stub, about to be replaced.
use pinchpoint_measure::RunResult;
/// x
#[derive(Debug)]
pub struct File { /// x
pub path: String, /// x
pub bytes: Vec<u8> }
/// x
#[derive(Debug, Clone, Copy)]
pub enum Style { /// x
Plain, /// x
Ansi }
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct ReportError;
/// x
pub fn render(_: &RunResult) -> Result<Vec<File>, ReportError> { Ok(vec![]) }
/// x
pub fn climb_table(r: &RunResult, _: usize, _: Style) -> String {
    let mut t = String::new();
    for v in &r.variants { t += &format!("{} {:?} {:?} {:?}\n", v.name, v.status, v.reason, v.summary.as_ref().map(|s| (s.throughput_per_s.median, s.statement_latency_ms.p50, s.client_cpu_us_per_row, s.phases_ms.clone()))); }
    t
}
