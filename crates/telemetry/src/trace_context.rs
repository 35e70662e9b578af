//! The W3C trace context: the headers `traceparent` and `tracestate`.

/// The most bytes of a `tracestate` that is passed on.
const MOST_STATE_BYTES: usize = 512;
/// The most members of a `tracestate`.
const MOST_MEMBERS: usize = 32;
/// The longest key, and the longest value, of a member.
const LONGEST_PART: usize = 256;

/// The span of another system that a request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The id of the trace; never all zeros.
    pub trace_id: [u8; 16],
    /// The id of the span; never all zeros.
    pub span_id: [u8; 8],
    /// Whether the caller records the trace.
    pub is_sampled: bool,
    /// The notes of tracing systems, at most 512 bytes; passed on as they came.
    pub state: Option<String>,
}

impl TraceContext {
    /// Reads the headers of a request. `None` if `traceparent` is not exactly as the standard says: the request then begins a
    /// trace. A `tracestate` that cannot be read is left out.
    #[must_use]
    pub fn read<'a>(
        traceparent: &[u8],
        tracestate: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        let (head, rest) = traceparent.split_at_checked(55)?;
        let [version] = hex(&head[..2])?;
        // A later version may append fields; version 0 has none, and 255 is not a version.
        let is_whole = match version {
            0 => rest.is_empty(),
            255 => return None,
            _ => rest.is_empty() || rest[0] == b'-',
        };
        let are_parted = [2, 35, 52].iter().all(|at| head[*at] == b'-');
        if !is_whole || !are_parted {
            return None;
        }
        let (trace_id, span_id) = (hex(&head[3..35])?, hex(&head[36..52])?);
        let [flags] = hex(&head[53..])?;
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        let state = state(tracestate);
        Some(Self { trace_id, span_id, is_sampled: flags & 1 == 1, state })
    }

    /// Returns the value of `traceparent`, version 0.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let flags = if self.is_sampled { "01" } else { "00" };
        format!("00-{}-{}-{flags}", written(&self.trace_id), written(&self.span_id))
    }
}

/// Returns `bytes` as lowercase hexadecimal digits.
pub(crate) fn written(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads `2 * N` lowercase hexadecimal digits.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    (text.len() == 2 * N).then_some(bytes)
}

/// Reads a `tracestate`, which may come in several headers. `None` if it is empty, or not as the standard says.
///
/// Of one with more than 512 bytes, the members at the end are left out: those are the oldest.
fn state<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Option<String> {
    let mut members: Vec<&str> = Vec::new();
    for header in headers {
        for member in std::str::from_utf8(header).ok()?.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=')?;
            let is_known = members.iter().any(|it| it.split('=').next() == Some(key));
            if members.len() == MOST_MEMBERS || is_known || !is_key(key) || !is_value(value) {
                return None;
            }
            members.push(member);
        }
    }
    let mut text = String::new();
    for member in members {
        let comma = usize::from(!text.is_empty());
        if text.len() + comma + member.len() > MOST_STATE_BYTES {
            break;
        }
        text.push_str(&","[..comma]);
        text.push_str(member);
    }
    (!text.is_empty()).then_some(text)
}

fn is_key(key: &str) -> bool {
    let is_part = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/');
    let begins =
        key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    let n_tenants = key.bytes().filter(|byte| *byte == b'@').count();
    begins
        && key.len() <= LONGEST_PART
        && n_tenants <= 1
        && !key.ends_with('@')
        && key.bytes().all(|byte| byte == b'@' || is_part(byte))
}

fn is_value(value: &str) -> bool {
    let is_part = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
    (1..=LONGEST_PART).contains(&value.len()) && value.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(parent: &str, states: &[&str]) -> Option<TraceContext> {
        TraceContext::read(parent.as_bytes(), states.iter().map(|state| state.as_bytes()))
    }

    #[test]
    fn a_context_is_read_and_written() {
        let found = read(PARENT, &["congo=t61rcWkgMzE, rojo=00f067aa0ba902b7", "a@b=1"]).unwrap();
        assert_eq!((found.trace_id[0], found.span_id[7]), (0x4b, 0xb7));
        assert!(found.is_sampled);
        let state = found.state.as_deref();
        assert_eq!(state, Some("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7,a@b=1"));
        assert_eq!(found.traceparent(), PARENT);
        let unsampled = PARENT.replace("-01", "-00");
        assert!(!read(&unsampled, &[]).unwrap().is_sampled);
        assert_eq!(read(&unsampled, &[]).unwrap().traceparent(), unsampled);
        // Other flags are not ours to pass on; a later version may have more fields.
        assert!(!read(&PARENT.replace("-01", "-fe"), &[]).unwrap().is_sampled);
        let later = format!("{}-what-comes", PARENT.replacen("00", "cc", 1));
        assert_eq!(read(&later, &[]).unwrap().traceparent(), PARENT);
    }

    #[test]
    fn a_context_that_is_not_as_the_standard_says_is_no_context() {
        let zeros = "0".repeat(16);
        for wrong in [
            String::new(),
            PARENT[..54].to_owned(),
            format!("{PARENT}-"),
            format!("{PARENT} "),
            format!(" {PARENT}"),
            PARENT.to_uppercase(),
            PARENT.replacen("00", "ff", 1),
            PARENT.replacen("00", "0g", 1),
            PARENT.replacen('-', "_", 1),
            format!("{}x", PARENT.replacen("00", "01", 1)),
            format!("00-{zeros}{zeros}-00f067aa0ba902b7-01"),
            format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{zeros}-01"),
            format!("{PARENT},{PARENT}"),
            PARENT.replace("4bf9", "4bf\u{e9}"),
        ] {
            assert_eq!(read(&wrong, &[]), None, "{wrong}");
        }
    }

    #[test]
    fn a_state_is_bounded_and_a_damaged_one_is_left_out() {
        let state = |states: &[&str]| read(PARENT, states).unwrap().state;
        assert_eq!(state(&[]), None);
        assert_eq!(state(&["", " , "]), None);
        assert_eq!(state(&["a=1,,b= 2"]).as_deref(), Some("a=1,b= 2"));
        let longest = "v".repeat(256);
        for wrong in [
            "a", "a=", "=1", "A=1", "a=1,a=2", "a=b=c", "a=\u{e9}", "a=\u{7f}", "@a=1", "a@=1",
            "a@b@c=1",
        ] {
            assert_eq!(state(&[wrong]), None, "{wrong}");
        }
        assert_eq!(state(&[&format!("a={longest}v")]), None);
        let members: Vec<String> = (0..33).map(|i| format!("k{i}=v")).collect();
        assert_eq!(state(&[&members.join(",")]), None, "more than 32 members");
        assert_eq!(state(&[&members[..32].join(",")]).unwrap().split(',').count(), 32);
        let long = format!("a={longest},b={longest},c=3");
        assert_eq!(state(&[&long]).unwrap(), format!("a={longest}"), "at most 512 bytes");
    }
}
