//! Prometheus metrics: everything the server counts about itself.

use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use qianmian_models::Models;

/// All metrics of one server.
pub struct Metrics {
    registry: Registry,
    /// Answers by scenario and outcome (`ok`, `fallback`, `error`).
    pub recommendations: IntCounterVec,
    /// Seconds from a decoded request to its answer, by scenario.
    pub recommend_seconds: HistogramVec,
    /// Seconds inside the sandbox, by strategy.
    pub strategy_seconds: HistogramVec,
    /// Strategy faults by strategy and code.
    pub faults: IntCounterVec,
    /// Degradations by name.
    pub degraded: IntCounterVec,
    /// Slots removed by host guards, by reason.
    pub guarded: IntCounterVec,
    /// Events by outcome (`accepted`, `duplicate`, `rejected`).
    pub events: IntCounterVec,
    /// Events whose time was more than a minute in the future.
    pub clock_ahead: IntCounter,
    /// Events that items are not counted by channel for, since the start: there were too many channels.
    pub uncounted: IntGauge,
    /// Requests turned away because the CPU pool, the log's queue or the room for bodies was full.
    pub shed: IntCounterVec,
    /// Candidates that were taken out by themselves, by scenario.
    pub rollbacks: IntCounterVec,
    /// Components that failed too often and are not run for a while, by strategy.
    pub breakers: IntCounterVec,
    /// Answers whose strategy used more than four fifths of a budget, by strategy and budget.
    pub near_limit: IntCounterVec,
    /// Items in the catalogue.
    pub items: IntGauge,
    /// Visitors with a profile.
    pub visitors: IntGauge,
    /// About the bytes of those in memory.
    pub visitor_bytes: IntGauge,
    /// Visitors who were packed away and could not be read back.
    pub visitors_lost: IntGauge,
    /// Requests that wait for a compose thread.
    pub waiting: IntGauge,
    /// Population stability index of the scores, by model.
    score_psi: GaugeVec,
    /// The same of the features that went furthest, by model and feature.
    feature_psi: GaugeVec,
}

/// Models whose drift is a metric, and features of each.
const DRIFT_MODELS: usize = 100;
const DRIFT_FEATURES: usize = 20;
const SECONDS: &[f64] = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

impl Metrics {
    /// Registers everything under the prefix `qianmian_`.
    ///
    /// # Errors
    /// When two metrics share a name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("qianmian".to_owned()), None)?;
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let seconds = |name: &str, help: &str, labels: &[&str]| -> Result<HistogramVec, prometheus::Error> {
            let histogram = HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), labels)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok(histogram)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let psi = |name: &str, help: &str, labels: &[&str]| -> Result<GaugeVec, prometheus::Error> {
            let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let plain = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        Ok(Self {
            recommendations: counter("recommendations_total", "Answers by outcome", &["scenario", "outcome"])?,
            recommend_seconds: seconds("recommend_seconds", "Decoded request to answer", &["scenario"])?,
            strategy_seconds: seconds("strategy_seconds", "Time inside the sandbox", &["strategy"])?,
            faults: counter("strategy_faults_total", "Strategy faults", &["strategy", "code"])?,
            degraded: counter("degraded_total", "Answers given without something", &["what"])?,
            guarded: counter("guard_removed_total", "Slots removed by host guards", &["reason"])?,
            events: counter("events_total", "Events by outcome", &["outcome"])?,
            clock_ahead: plain("events_clock_ahead_total", "Events more than a minute in the future")?,
            uncounted: gauge(
                "channel_events_uncounted",
                "Events over channels beyond those that items are counted by",
            )?,
            shed: counter("shed_total", "Requests turned away", &["queue"])?,
            rollbacks: counter("rollbacks_total", "Candidates taken out by themselves", &["scenario"])?,
            breakers: counter("breaker_opened_total", "Components that are not run for a while", &["strategy"])?,
            near_limit: counter(
                "strategy_near_limit_total",
                "More than 80% of a budget used",
                &["strategy", "budget"],
            )?,
            items: gauge("catalogue_items", "Items in the catalogue")?,
            visitors: gauge("visitors", "Visitors with a profile")?,
            visitor_bytes: gauge("visitor_bytes", "About the bytes of the visitors in memory")?,
            visitors_lost: gauge(
                "visitors_lost",
                "Visitors packed away who could not be read back: restart to fold them again",
            )?,
            waiting: gauge("compose_waiting", "Requests that wait for a compose thread")?,
            score_psi: psi("model_score_psi", "Population stability index of a model's scores", &["model"])?,
            feature_psi: psi(
                "model_feature_psi",
                "Population stability index of the features that went furthest",
                &["model", "feature"],
            )?,
            registry,
        })
    }

    /// Takes over how far the live models drifted. Features that are no longer among the furthest go out.
    pub fn drift(&self, models: &Models) {
        self.score_psi.reset();
        self.feature_psi.reset();
        for served in models.all().iter().take(DRIFT_MODELS) {
            let report = served.drift.report();
            if let Some(psi) = report.score.psi {
                self.score_psi.with_label_values(&[&served.name]).set(psi);
            }
            for feature in report.features.iter().take(DRIFT_FEATURES) {
                if let Some(psi) = feature.psi {
                    self.feature_psi.with_label_values(&[&served.name, &feature.name]).set(psi);
                }
            }
        }
    }

    /// The text exposition format.
    ///
    /// # Errors
    /// When encoding fails.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
