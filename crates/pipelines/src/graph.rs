//! The stages of a pipeline as a graph: which stage needs which, and which run at once.

use super::{
    plan::{BASELINE, Plan},
    schedule,
    spec::StageSpec,
};
use serde::Serialize;

/// A stage of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GraphStage {
    /// The name of the stage.
    pub stage: String,
    /// Its kind, such as `train`.
    pub kind: String,
    /// The stages that it needs.
    pub needs: Vec<String>,
    /// The turn in which it runs, from 1, if as many stages as possible run at once.
    pub turn: u64,
}

/// Returns the stages of `plan` in the order of execution.
#[must_use]
pub fn graph(plan: &Plan) -> Vec<GraphStage> {
    let mut turns = vec![0; plan.stages.len()];
    let mut done = vec![false; plan.stages.len()];
    for turn in 1.. {
        let next = schedule::next(plan, &done, usize::MAX);
        if next.is_empty() {
            break;
        }
        for at in next {
            (turns[at], done[at]) = (turn, true);
        }
    }
    plan.stages
        .iter()
        .zip(turns)
        .map(|(stage, turn)| {
            let mut needs: Vec<String> = Vec::new();
            for need in &stage.needs {
                if !needs.contains(need) {
                    needs.push(need.clone());
                }
            }
            GraphStage {
                stage: stage.name.clone(),
                kind: stage.spec.as_ref().map_or(BASELINE, StageSpec::kind).to_owned(),
                needs,
                turn,
            }
        })
        .collect()
}

/// Returns the graph as a Mermaid flowchart, which GitHub and GitLab draw in Markdown. Stages with effects have another shape.
#[must_use]
pub fn mermaid(stages: &[GraphStage]) -> String {
    let id = |name: &str| stages.iter().position(|stage| stage.stage == name);
    let mut out = "flowchart TD\n".to_owned();
    for (at, stage) in stages.iter().enumerate() {
        let label = match stage.kind == stage.stage {
            true => stage.stage.clone(),
            false => format!("{}<br/>{}", stage.stage, stage.kind),
        };
        // Names are letters, digits, `-` and `_`, but may be words of Mermaid: nodes have numbers.
        let (open, close) = match stage.kind.as_str() {
            "push" | "promote" | "compact" | "knowledge_import" | BASELINE => ("([", "])"),
            "gate" => ("{", "}"),
            _ => ("[", "]"),
        };
        out.push_str(&format!("  s{at}{open}\"{label}\"{close}\n"));
    }
    for (at, stage) in stages.iter().enumerate() {
        for need in stage.needs.iter().filter_map(|need| id(need)) {
            out.push_str(&format!("  s{need} --> s{at}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::PipelineSpec;
    use std::path::Path;

    #[test]
    fn a_graph_has_every_need_once() {
        let yaml = "{version: 1, name: p, model: m, stages: [{validate: {data: a.csv}}, {split: {from: validate, after: \
                    [validate]}}, {train: {name: end, from: split}}, {evaluate: {model: end, on: split}}, {gate: {from: \
                    evaluate, rules: {metrics: {accuracy: {min: 0.5}}}}}, {push: {model: end, gate: gate}}]}";
        let spec: PipelineSpec = botops_spec::parse(yaml, "p.yaml").unwrap();
        let stages = graph(&Plan::check(spec, Path::new("p.yaml"), None).unwrap());
        let turns: Vec<(&str, u64)> =
            stages.iter().map(|stage| (stage.stage.as_str(), stage.turn)).collect();
        let order = ["validate", "split", "end", "evaluate", "gate", "push"];
        assert_eq!(turns, order.into_iter().zip(1..).collect::<Vec<_>>());
        assert_eq!(stages[1].needs, ["validate"]);
        assert_eq!(
            mermaid(&stages),
            "flowchart TD\n  s0[\"validate\"]\n  s1[\"split\"]\n  s2[\"end<br/>train\"]\n  s3[\"evaluate\"]\n  \
             s4{\"gate\"}\n  s5([\"push\"])\n  s0 --> s1\n  s1 --> s2\n  s2 --> s3\n  s1 --> s3\n  s3 --> s4\n  s2 --> s5\n  \
             s4 --> s5\n"
        );
    }
}
