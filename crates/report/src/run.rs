//! The run of a pipeline as annotations, SARIF and JUnit: the findings of its data, and those of its stages.

use super::{
    annotations::annotations,
    job::JobStage,
    junit::{printable, suite, written},
    sarif::validation_sarif,
};
use botops_digest::Digest;
use botops_findings::Finding;
use botops_validation::{Mark, Validation};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// A finished run of a pipeline, for reports.
#[derive(Debug, Clone)]
pub struct RunReport<'a> {
    /// The name of the pipeline.
    pub pipeline: &'a str,
    /// The file of the pipeline.
    pub file: String,
    /// The stages in order.
    pub stages: Vec<JobStage<'a>>,
    /// The validated data files and their results.
    pub data: Vec<(String, Validation)>,
    /// The findings of the stages that are not about the data; they are placed in the file of the pipeline if they name
    /// no other.
    pub findings: Vec<Finding>,
}

/// Returns workflow commands that annotate the data files and the pipeline, within the limits of one step, and a line that
/// names the stages that did not pass.
#[must_use]
pub fn run_annotations(run: &RunReport<'_>) -> String {
    let not_passed: Vec<String> = run
        .stages
        .iter()
        .filter(|stage| !matches!(stage.verdict, "passed" | "skipped"))
        .map(|stage| format!("{} {}", stage.name, stage.verdict))
        .collect();
    let verdict = match not_passed.is_empty() {
        true => "passed".to_owned(),
        false => not_passed.join(", "),
    };
    format!("{}botops run: {}: {verdict}\n", annotations(&merged(run), &run.file), run.pipeline)
}

/// Returns all findings of the run as a SARIF log.
#[must_use]
pub fn run_sarif(run: &RunReport<'_>) -> String {
    validation_sarif(&merged(run), &run.file)
}

/// Returns the stages as a test suite, and one more suite for each validated data file.
#[must_use]
pub fn run_junit(run: &RunReport<'_>) -> String {
    let mut stages = TestSuite::new(printable(&format!("pipeline {}", run.pipeline)));
    for stage in &run.stages {
        let mut case = TestCase::new(printable(stage.name), TestCaseStatus::success());
        case.set_classname(stages.name.clone());
        let summary = printable(stage.summary);
        match stage.verdict {
            "failed" | "insufficient" => {
                case.status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                case.status.set_type(stage.verdict).set_message(summary);
            }
            "not run" => case.status = TestCaseStatus::skipped(),
            _ => {
                case.set_system_out(format!("{}: {summary}", stage.verdict));
            }
        }
        stages.add_test_case(case);
    }
    let mut report = Report::new("botops run");
    report.add_test_suite(stages);
    for (name, validation) in &run.data {
        report.add_test_suite(suite(validation, name));
    }
    written(&report)
}

/// Returns the findings of all data files and of the stages as those of one validation.
fn merged(run: &RunReport<'_>) -> Validation {
    let mut merged = Validation::default();
    for (name, validation) in &run.data {
        for (i, finding) in validation.findings.iter().enumerate() {
            let mut finding = finding.clone();
            finding.place.file.get_or_insert_with(|| name.clone());
            let mark = validation.marks.get(i).cloned().unwrap_or_else(|| mark(&finding));
            merged.marks.push(mark);
            merged.findings.push(finding);
        }
        merged.checks.extend(validation.checks.iter().cloned());
    }
    merged.marks.extend(run.findings.iter().map(mark));
    merged.findings.extend(run.findings.iter().cloned());
    merged
}

/// Returns the identity of a finding without one: its code, its file and its message.
fn mark(finding: &Finding) -> Mark {
    Mark {
        id: Digest::of_json(&(&finding.code, &finding.place.file, &finding.message)),
        rule: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_findings::{Place, Severity};
    use botops_validation::Check;

    fn found(code: &'static str, severity: Severity, file: Option<&str>) -> Finding {
        let file = file.map(str::to_owned);
        let record = file.is_some().then_some(3);
        let place = Place { file, record, line: record, ..Place::default() };
        Finding::new(code, severity, "a message".to_owned(), "a remedy".to_owned()).at(place)
    }

    fn run() -> RunReport<'static> {
        let check = Check {
            code: "BOT-2112".to_owned(),
            rule: None,
            severity: Severity::Error,
            findings: 20,
            known: 0,
        };
        let validation = Validation {
            findings: vec![found("BOT-2112", Severity::Error, Some("data/a.csv"))],
            checks: vec![check],
            records_in: 100,
            records_rejected: 20,
            errors: 20,
            ..Validation::default()
        };
        let stage =
            |name, verdict, summary| JobStage { name, verdict, took: String::new(), summary };
        RunReport {
            pipeline: "weekly",
            file: "pipelines/weekly.yaml".to_owned(),
            stages: vec![
                stage("validate", "failed", "20 errors"),
                stage("split", "not run", ""),
                stage("other", "warned", "drift"),
            ],
            data: vec![("data/a.csv".to_owned(), validation)],
            findings: vec![found("BOT-8020", Severity::Error, None)],
        }
    }

    #[test]
    fn the_annotations_of_a_run_name_the_data_and_the_pipeline() {
        let text = run_annotations(&run());
        assert!(text.contains("::error file=data/a.csv,line=3,title=BOT-2112"), "{text}");
        assert!(text.contains("::error file=pipelines/weekly.yaml,title=BOT-8020"), "{text}");
        assert!(text.contains("in total 20 BOT-2112"), "{text}");
        let last = "\nbotops run: weekly: validate failed, split not run, other warned\n";
        assert!(text.ends_with(last), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("::error")).count(), 3, "{text}");
    }

    #[test]
    fn the_sarif_log_of_a_run_has_the_findings_of_data_and_stages() {
        let log: serde_json::Value = serde_json::from_str(&run_sarif(&run())).unwrap();
        let results = log["runs"][0]["results"].as_array().unwrap();
        let uri = |i: usize| {
            results[i]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone()
        };
        assert_eq!((uri(0), uri(1)), ("data/a.csv".into(), "pipelines/weekly.yaml".into()));
        assert!(results.iter().all(|result| result["partialFingerprints"].is_object()));
    }

    #[test]
    fn the_test_page_of_a_run_has_a_case_for_each_stage_and_each_check() {
        let xml = run_junit(&run());
        assert!(xml.contains("<testsuite name=\"pipeline weekly\" tests=\"3\" skipped=\"1\" errors=\"0\" failures=\"1\""), "{xml}");
        assert!(xml.contains("<testsuite name=\"data/a.csv\" tests=\"1\""), "{xml}");
        assert!(xml.contains("<failure message=\"20 errors\" type=\"failed\""), "{xml}");
    }
}
