//! The settings of channels in botops.yaml.

use crate::{ChannelSettings, HandoffShape, Platform};
use botops_findings::{Fault, FaultKind};
use botops_workspace::{Overrides, Workspace};
use std::{collections::BTreeMap, fs, time::Duration};

fn read(yaml: &str) -> Result<ChannelSettings, Fault> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("botops.yaml"), yaml).unwrap();
    let secret = "s3cret-of-more-than-24-bytes";
    let environment = BTreeMap::from([
        ("A".to_owned(), secret.to_owned()),
        ("SHORT".to_owned(), "s3cret".to_owned()),
    ]);
    let overrides = Overrides { profile: None, flags: Vec::new(), environment };
    ChannelSettings::read(&Workspace::discover(folder.path(), &overrides)?)
}

const WHATSAPP: &str = "whatsapp: {phone_number_id: '1001', app_secret: '${env:A}', \
    verify_token: '${env:A}', token: '${env:A}'}";

#[test]
fn a_channel_has_the_settings_of_the_file_and_the_defaults() {
    let yaml = format!(
        "channels:\n  shop:\n    {WHATSAPP}\n    retention: 3d\n    attempts: 5\n    opt_out: [basta]\n    \
         texts: {{de: {{closed: Geschlossen}}}}\n    \
         hours: {{time_zone: Europe/Paris, open: [mon-fri 09:00-18:00]}}\n    \
         handoff: {{url: 'https://desk.example.com/h', secret: '${{env:A}}', shape: chatwoot}}\n  \
         crm:\n    webhook: {{secret: '${{env:A}}', url: 'https://crm.example.com/answers'}}\n"
    );
    let settings = read(&yaml).unwrap();
    assert_eq!(settings.channels.keys().collect::<Vec<_>>(), ["crm", "shop"]);
    let shop = &settings.channels["shop"];
    let Platform::WhatsApp(number) = &shop.platform else { panic!("{shop:?}") };
    assert_eq!((number.phone_number_id.as_str(), number.version.as_str()), ("1001", "v21.0"));
    assert_eq!((number.base_url.as_str(), number.per_second), ("https://graph.facebook.com", 80));
    assert_eq!((shop.attempts, shop.concurrency, shop.queue), (5, 32, 10_000));
    assert_eq!(shop.retention, Duration::from_secs(3 * 86_400));
    assert!(shop.hours.as_ref().is_some_and(|hours| hours.bot_answers_outside));
    assert_eq!(shop.handoff.as_ref().map(|it| it.shape), Some(HandoffShape::Chatwoot));
    assert_eq!(settings.channels["crm"].attempts, 8);
    assert_eq!((shop.silence, number.resend_failed), (Duration::from_secs(86_400), false));
    assert!(!format!("{settings:?}").contains("s3cret"), "{settings:?}");
    assert!(read("model: m\n").unwrap().channels.is_empty());
}

#[test]
fn a_setting_that_cannot_be_used_is_named_with_its_key() {
    let of = |more: &str| format!("channels:\n  shop:\n    {WHATSAPP}\n    {more}\n");
    let of_template = |parameters: &str| {
        let template = format!("template: {{name: t, language: en, parameters: {parameters}}}}}");
        let spec = WHATSAPP.strip_suffix('}').unwrap();
        format!("channels:\n  shop:\n    {spec}, {template}\n")
    };
    let cases = [
        ("channels:\n  shop: {language: en}\n".to_owned(), "channels.shop` has no platform"),
        (of("slack: {signing_secret: '${env:A}', token: '${env:A}'}"), "several platforms"),
        (format!("channels:\n  Shop!:\n    {WHATSAPP}\n"), "part of an address"),
        (of("attempts: 51"), "channels.shop.attempts` is 51"),
        (of("queue: 0"), "channels.shop.queue` is 0"),
        (of("retention: 1h"), "channels.shop.retention` is `1h`"),
        (of("silence: 30m"), "channels.shop.silence` is `30m`"),
        (of("silence: 31d"), "channels.shop.silence` is `31d`"),
        (
            "channels:\n  desk:\n    chatwoot: {account_id: 3, secret: '${env:A}', token: '${env:A}', base_url: 'http://desk.example.com'}\n".to_owned(),
            "channels.desk.chatwoot.base_url` is no `https://` URL",
        ),
        (of_template("['{name}']"), "parameters` has an unknown placeholder"),
        (of_template("['']"), "parameters` has an empty"),
        (of("opt_out: []"), "channels.shop.opt_out`"),
        (of("texts: {en: {hello: Hi}}"), "channels.shop.texts.en.hello`"),
        (of("hours: {time_zone: Paris, open: [mon 09:00-10:00]}"), "unknown time zone `Paris`"),
        (of("handoff: {url: 'https://a.example.com', shape: x}"), "channels.shop.handoff.shape`"),
        (of("handoff: {url: 'https://a.example.com', secret: '${env:SHORT}'}"), "24 are needed"),
        (of("").replace("'1001'", "abc"), "channels.shop.whatsapp.phone_number_id`"),
        (
            of("").replace(
                "phone_number_id",
                "base_url: 'http://graph.example.com', phone_number_id",
            ),
            "base_url`",
        ),
        (
            of("").replace("phone_number_id", "version: latest, phone_number_id"),
            "whatsapp.version`",
        ),
    ];
    for (yaml, expected) in cases {
        let fault = read(&yaml).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7501", FaultKind::Usage), "{yaml}: {fault}");
        assert!(fault.message().contains(expected), "{yaml}: {fault}");
        assert!(!fault.hints().is_empty() && !fault.to_string().contains("s3cret"), "{fault}");
    }
}

#[test]
fn a_secret_that_is_written_out_or_absent_and_an_unknown_key_are_refused() {
    for (from, to) in [("'${env:A}'", "s3cret"), ("'${env:A}'", "'${env:ABSENT}'")] {
        let yaml = format!("channels:\n  shop:\n    {WHATSAPP}\n").replacen(from, to, 1);
        let fault = read(&yaml).unwrap_err();
        assert_eq!(fault.code(), "BOT-1021", "{yaml}");
        assert!(!fault.to_string().contains("s3cret"), "{fault}");
    }
    let fault =
        read(&format!("channels:\n  shop:\n    {WHATSAPP}\n    langage: en\n")).unwrap_err();
    assert!(fault.hints().iter().any(|hint| hint.contains("language")), "{fault:?}");
}
