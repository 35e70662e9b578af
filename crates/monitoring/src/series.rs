//! The decision of a report within the series of windows.

use crate::{
    alarms::{AlarmRule, Alarms, Series},
    report::{MonitorReport, Unjudged},
};
use botops_findings::Result;
use botops_store::Store;

/// The rule of [`decide_in_series`]: at most 5 % of the alarms are false.
pub const SERIES: AlarmRule = AlarmRule::Lord { rate: 0.05 };

/// Adds the decision of the series to a report of an environment; without `keep` it is not recorded. A report without a
/// comparison, or of a window that overlaps a decided one, gets none.
///
/// # Errors
/// Those of [`Alarms::read`] and [`Alarms::decide`].
pub async fn decide_in_series(store: &Store, report: &mut MonitorReport, keep: bool) -> Result<()> {
    let Some(drift) = &report.drift else { return Ok(()) };
    let mut alarms = Alarms::read(store, &report.environment).await?;
    let model = (report.model.digest.as_str(), report.model.manifest.as_deref());
    let subject = (report.window, model);
    let series = match keep {
        true => alarms.decide(subject, drift, SERIES).await?,
        false => alarms.preview(subject, drift, SERIES)?,
    };
    match series {
        Series::Decided(decision) => report.series = Some(decision),
        Series::Overlaps(window) => report.not_judged.push(Unjudged {
            name: "series".to_owned(),
            reason: format!("the window has records in common with {window}, which was decided"),
        }),
        Series::Untested => {}
    }
    Ok(())
}
