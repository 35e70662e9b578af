use super::{check, dialogue_of};

const AT: &str = "2026-11-30T11:00:00Z";

#[test]
fn quantities_with_and_without_units() {
    let dialogue = dialogue_of("{type: quantity}");
    check(
        &dialogue,
        AT,
        &[
            ("fr", "2,5 kg et trois boîtes", &["2,5 kg => 2.5 kg", "trois boîtes => 3 box"]),
            ("en", "2.5 kg and three boxes", &["2.5 kg => 2.5 kg", "three boxes => 3 box"]),
            ("fr", "1,250 kg", &["1,250 kg => 1.25 kg"]),
            ("en", "1,250 kg", &["1,250 kg => 1250 kg"]),
            ("en", "x3, 4x and 5 x please", &["x3 => 3", "4x => 4", "5 x => 5"]),
            (
                "fr",
                "une douzaine d'œufs, deux douzaines de bouteilles",
                &["une douzaine => 12", "deux douzaines => 24"],
            ),
            ("en", "a dozen bottles", &["a dozen bottles => 12 bottle"]),
            ("en", "64GB, 20 %", &["64GB => 64 GB", "20 % => 20 %"]),
            (
                "fr",
                "256 Go, 1To, 50 pour cent",
                &["256 Go => 256 GB", "1To => 1 TB", "50 pour cent => 50 %"],
            ),
            ("fr", "j'en veux trois", &["trois => 3"]),
            ("en", "2", &["2 => 2"]),
            ("en", "quantity: 12 for the order of today, please send it soon", &["12 => 12"]),
            ("en", "one thing is broken in my order since last week", &[]),
            ("en", "order 20447 and order 20448", &[]),
            ("fr", "le 12 mai", &[]),
        ],
    );
}
