//! The policy of an environment: the evidence, the plan, the approvals and the times that a promotion needs.
//!
//! In: a [`PolicySpec`] from a file, or the stored form that a deployment log names by digest. Out: a [`Policy`], which
//! judges a [`Case`]: the evidence of a version and the plan of its rollout. Every demand of the policy becomes one
//! [`Check`], in the same words in the command line, in CI and on a server.
//!
//! Evidence is judged twice: its own rules must be as strict as the policy, and the numbers behind it must satisfy the
//! policy. A report that passed rules of its own choice proves nothing else.

mod checked;
mod evidence;
mod gates;
mod judgement;
mod knowledge_rules;
mod plan_rules;
mod required_bound;
mod spec;

pub use checked::Policy;
pub use evidence::{Evidence, EvidenceBasis, MeasuredBound};
pub use judgement::{Case, Check, Demand, Judgement};
pub use knowledge_rules::KnowledgeRules;
pub use required_bound::RequiredBound;
pub use spec::{
    ApprovalRules, BehaviourRules, DataRule, FlipRules, GateRules, PolicyMode, PolicySpec,
    RelativeRules, RolloutRules,
};

#[cfg(test)]
mod tests;
