//! The one integration-test binary.

#[path = "cases/audience.rs"]
mod audience;
#[path = "cases/authoring.rs"]
mod authoring;
#[path = "cases/backup.rs"]
mod backup;
#[path = "cases/browser.rs"]
mod browser;
#[path = "cases/campaigns.rs"]
mod campaigns;
#[path = "cases/console.rs"]
mod console;
#[path = "cases/contract.rs"]
mod contract;
#[path = "cases/durability.rs"]
mod durability;
#[path = "cases/events.rs"]
mod events;
#[path = "cases/hostile.rs"]
mod hostile;
#[path = "cases/identity.rs"]
mod identity;
#[path = "cases/javascript.rs"]
mod javascript;
#[path = "cases/learning.rs"]
mod learning;
#[path = "cases/models.rs"]
mod models;
#[path = "cases/pins.rs"]
mod pins;
#[path = "cases/recommend.rs"]
mod recommend;
#[path = "cases/refusals.rs"]
mod refusals;
#[path = "cases/replay.rs"]
mod replay;
#[path = "cases/rollout.rs"]
mod rollout;
#[path = "cases/strategies.rs"]
mod strategies;
mod tidy;
#[path = "cases/uploads.rs"]
mod uploads;
#[path = "cases/vectors.rs"]
mod vectors;
