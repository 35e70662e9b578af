//! WebSockets (RFC 6455): the handshake on a connection with HTTP/1.1, and the limits that hold after it.
//!
//! A socket keeps the place of its connection. It costs a read buffer of 4 KiB, and whatever is not sent yet: a sender waits
//! until the client has taken that, and the client is cut off if it takes too long. Messages are text. A client that breaks
//! the protocol gets the close code that says so.

use crate::connection::Stay;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header},
    response::Response,
};
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::{pin::pin, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Error, Message, Utf8Bytes,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

/// The size of the read buffer, and the number of bytes that are sent together.
const BUFFER: usize = 4 << 10;
/// The longest wait for the client after the close frame.
const LINGER: Duration = Duration::from_secs(1);
/// The most bytes of the client that are read and thrown away after the close frame.
const MOST_THROWN_AWAY: usize = 1 << 20;
/// The longest reason in a close frame.
const MOST_REASON_BYTES: usize = 123;

/// The limits of a WebSocket, besides those of its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketLimits {
    /// The largest message, in bytes.
    pub message_bytes: usize,
    /// The time after which a client that sends nothing gets a ping; after twice that time it is gone.
    pub ping: Duration,
    /// The longest time without a message.
    pub idle: Duration,
    /// The time between two [`Received::Tick`]; `None` for none.
    pub tick: Option<Duration>,
}

/// The end of a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client closed it, or has gone.
    Client,
    /// The server stops: 1001.
    Stopped,
    /// No message came for long: 1000.
    Idle,
    /// The client does not answer pings.
    Silent,
    /// The client does not take what it is sent.
    Write,
    /// The client broke the protocol: 1002.
    Protocol,
    /// A message is not text: 1003.
    NotText,
    /// A text is not UTF-8: 1007.
    NotUtf8,
    /// A rule of the server, such as that of credentials, is broken: 1008.
    Policy,
    /// A message is too large: 1009.
    TooLarge,
}

impl End {
    /// Returns the name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Stopped => "stopped",
            Self::Idle => "idle",
            Self::Silent => "silent",
            Self::Write => "write",
            Self::Protocol => "protocol",
            Self::NotText => "not_text",
            Self::NotUtf8 => "not_utf8",
            Self::Policy => "policy",
            Self::TooLarge => "too_large",
        }
    }

    /// Returns the close code and the reason for the client; `None` if there is nobody to tell.
    fn words(self) -> Option<(CloseCode, &'static str)> {
        Some(match self {
            Self::Client | Self::Silent | Self::Write => return None,
            Self::Stopped => (CloseCode::Away, "the server stops: connect again"),
            Self::Idle => (CloseCode::Normal, "no message came for a long time"),
            Self::Protocol => (CloseCode::Protocol, "a frame breaks the WebSocket protocol"),
            Self::NotText => (CloseCode::Unsupported, "messages are text"),
            Self::NotUtf8 => (CloseCode::Invalid, "a text is not UTF-8"),
            Self::Policy => (CloseCode::Policy, "the request is not allowed"),
            Self::TooLarge => (CloseCode::Size, "the message is too large"),
        })
    }

    fn of(error: &Error) -> Self {
        match error {
            Error::Capacity(_) => Self::TooLarge,
            Error::Utf8(_) => Self::NotUtf8,
            Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
                Self::Client
            }
            Error::Protocol(_) => Self::Protocol,
            _ => Self::Client,
        }
    }
}

/// Something that a socket received.
#[derive(Debug)]
pub enum Received {
    /// A text.
    Text(Utf8Bytes),
    /// Nothing: the time of [`SocketLimits::tick`] is over.
    Tick,
    /// The end: the socket is closed.
    End(End),
}

/// The reason for which a request is no handshake of a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoHandshake {
    /// It asks for no WebSocket.
    NotAsked,
    /// It asks for another version than 13.
    Version,
    /// A header of the handshake is missing or wrong.
    Malformed,
    /// It came over HTTP/2.
    Http2,
}

/// Answers a handshake, and runs `serve` with the socket once the client speaks WebSocket, in a task of its own. `protocol`
/// is the subprotocol that the server chose among those that the client offers.
///
/// # Errors
/// If the request is no handshake.
pub fn upgrade<F, Fut>(
    mut request: Request,
    (limits, protocol): (SocketLimits, Option<&'static str>),
    serve: F,
) -> Result<Response, NoHandshake>
where
    F: FnOnce(Socket) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let accept = accepted(&request)?;
    let stay = request.extensions_mut().remove::<Stay>().ok_or(NoHandshake::NotAsked)?;
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        // A client that has gone before the answer was written.
        let Ok(upgraded) = upgraded.await else { return };
        serve(Socket::new(upgraded, stay, limits).await).await;
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = protocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    Ok(response)
}

/// Checks a handshake. Returns the value of `Sec-WebSocket-Accept`.
fn accepted(request: &Request) -> Result<HeaderValue, NoHandshake> {
    let headers = request.headers();
    if request.version() > Version::HTTP_11 {
        return Err(NoHandshake::Http2);
    }
    if request.method() != Method::GET || !names(headers, header::UPGRADE, "websocket") {
        return Err(NoHandshake::NotAsked);
    }
    if !names(headers, header::CONNECTION, "upgrade") {
        return Err(NoHandshake::Malformed);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(NoHandshake::Version);
    }
    // Sixteen bytes in base64.
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if key.len() == 24 && key.as_bytes().ends_with(b"==") => {
            HeaderValue::try_from(derive_accept_key(key.as_bytes()))
                .map_err(|_| NoHandshake::Malformed)
        }
        _ => Err(NoHandshake::Malformed),
    }
}

/// Returns whether a header names `token` among its values.
fn names(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let mut all = headers.get_all(name).iter().flat_map(|it| it.as_bytes().split(|it| *it == b','));
    all.any(|it| it.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// A WebSocket of the server.
pub struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    stay: Stay,
    limits: SocketLimits,
    /// Whether something waits to be sent.
    is_behind: bool,
    /// The last time that anything came.
    heard_at: Instant,
    /// The last time that a message came.
    message_at: Instant,
    ping_at: Instant,
    tick_at: Option<Instant>,
    /// A frame that came while [`Self::gone`] watched; `None` in it is the end of the connection.
    ahead: Option<Option<Result<Message, Error>>>,
}

impl Socket {
    async fn new(upgraded: Upgraded, stay: Stay, limits: SocketLimits) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(limits.message_bytes))
            .max_frame_size(Some(limits.message_bytes));
        let io = TokioIo::new(upgraded);
        let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        let now = Instant::now();
        Self {
            stream,
            stay,
            is_behind: false,
            heard_at: now,
            message_at: now,
            ping_at: now + limits.ping,
            tick_at: limits.tick.map(|tick| now + tick),
            limits,
            ahead: None,
        }
    }

    /// Waits for the next message. What was sent before leaves at the latest now.
    ///
    /// Messages wait in the buffers of the system until they are asked for, so a client that sends faster than it is
    /// answered has to wait.
    pub async fn next(&mut self) -> Received {
        loop {
            if self.stay.is_stopping() {
                return self.end(End::Stopped).await;
            }
            // While the client has sent more, answers are sent together.
            let ready = self.ahead.take().or_else(|| self.stream.next().now_or_never());
            let frame = match ready {
                Some(frame) => frame,
                None => {
                    if let Err(end) = self.flush().await {
                        return self.end(end).await;
                    }
                    match self.wait().await {
                        Ok(frame) => frame,
                        Err(received) => return received,
                    }
                }
            };
            let now = Instant::now();
            (self.heard_at, self.ping_at) = (now, now + self.limits.ping);
            match frame {
                Some(Ok(Message::Text(text))) => {
                    self.message_at = now;
                    return Received::Text(text);
                }
                // The pong is on its way.
                Some(Ok(Message::Ping(_))) => self.is_behind = true,
                Some(Ok(Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Binary(_))) => return self.end(End::NotText).await,
                Some(Ok(Message::Close(_))) | None => return self.end(End::Client).await,
                Some(Err(error)) => return self.end(End::of(&error)).await,
            }
        }
    }

    /// Waits for a frame.
    ///
    /// # Errors
    /// A tick, or the end.
    async fn wait(&mut self) -> Result<Option<Result<Message, Error>>, Received> {
        loop {
            let silent_at = self.heard_at + 2 * self.limits.ping;
            let idle_at = self.message_at + self.limits.idle;
            let first = self.ping_at.min(idle_at).min(silent_at);
            let first = self.tick_at.map_or(first, |tick_at| tick_at.min(first));
            tokio::select! {
                biased;
                () = self.stay.stopped() => return Err(self.end(End::Stopped).await),
                frame = self.stream.next() => return Ok(frame),
                () = sleep_until(first) => {}
            }
            let now = Instant::now();
            if now >= silent_at {
                return Err(self.end(End::Silent).await);
            }
            if now >= idle_at {
                return Err(self.end(End::Idle).await);
            }
            if now >= self.ping_at {
                self.ping_at = now + self.limits.ping;
                let sent = self.put(Message::Ping(tungstenite::Bytes::new())).await;
                if let Err(end) = sent {
                    return Err(self.end(end).await);
                }
                if let Err(end) = self.flush().await {
                    return Err(self.end(end).await);
                }
            }
            if self.tick_at.is_some_and(|tick_at| now >= tick_at) {
                self.tick_at = self.limits.tick.map(|tick| now + tick);
                return Err(Received::Tick);
            }
        }
    }

    /// Sends `text`, together with others or when the next message is waited for.
    ///
    /// # Errors
    /// The end, if the client has gone or takes too long; the socket is closed then.
    pub async fn send(&mut self, text: String) -> Result<(), End> {
        match self.put(Message::text(text)).await {
            Ok(()) => Ok(()),
            Err(end) => {
                self.end(end).await;
                Err(end)
            }
        }
    }

    /// Sends `text` at once, with what waits.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_now(&mut self, text: String) -> Result<(), End> {
        self.send(text).await?;
        match self.flush().await {
            Ok(()) => Ok(()),
            Err(end) => {
                self.end(end).await;
                Err(end)
            }
        }
    }

    /// Waits until the client has gone, and closes the socket then. A message that comes meanwhile is kept for
    /// [`Self::next`], and nothing after it is read: this waits for ever then. Dropped, it loses nothing.
    pub async fn gone(&mut self) -> End {
        while self.ahead.is_none() {
            let frame = self.stream.next().await;
            let now = Instant::now();
            (self.heard_at, self.ping_at) = (now, now + self.limits.ping);
            let end = match &frame {
                Some(Ok(Message::Close(_))) | None => End::Client,
                Some(Err(error)) => End::of(error),
                Some(Ok(Message::Ping(_))) => {
                    self.is_behind = true;
                    continue;
                }
                Some(Ok(Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    self.ahead = Some(frame);
                    break;
                }
            };
            self.end(end).await;
            return end;
        }
        std::future::pending().await
    }

    async fn put(&mut self, message: Message) -> Result<(), End> {
        self.is_behind = true;
        match timeout(self.stay.limits().write_timeout, self.stream.feed(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(End::of(&error)),
            Err(_) => Err(End::Write),
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        if !std::mem::take(&mut self.is_behind) {
            return Ok(());
        }
        match timeout(self.stay.limits().write_timeout, self.stream.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(End::of(&error)),
            Err(_) => Err(End::Write),
        }
    }

    /// Closes the socket with 1008 and `reason`.
    pub async fn refuse(mut self, reason: &str) {
        let end = (0..=MOST_REASON_BYTES.min(reason.len())).rev();
        let end = end.into_iter().find(|at| reason.is_char_boundary(*at)).unwrap_or_default();
        self.close(CloseCode::Policy, &reason[..end]).await;
    }

    /// Closes the socket.
    async fn end(&mut self, end: End) -> Received {
        match (end, end.words()) {
            (_, Some((code, reason))) => self.close(code, reason).await,
            (End::Client, None) => {
                // The answer to the close frame of the client.
                let _ = timeout(LINGER, self.stream.flush()).await;
                let _ = timeout(LINGER, self.stream.get_mut().shutdown()).await;
            }
            _ => self.stay.cut(end.name()),
        }
        Received::End(end)
    }

    /// Sends a close frame, and waits a moment for the client: a connection that is closed while bytes of the client wait
    /// to be read is reset, and the frame with it.
    async fn close(&mut self, code: CloseCode, reason: &str) {
        let frame = CloseFrame { code, reason: reason.into() };
        if !matches!(
            timeout(LINGER, self.stream.send(Message::Close(Some(frame)))).await,
            Ok(Ok(()))
        ) {
            return;
        }
        let rest = async {
            let io = self.stream.get_mut();
            if io.shutdown().await.is_err() {
                return;
            }
            let mut buffer = [0; 1 << 10];
            let mut left = MOST_THROWN_AWAY;
            while let Ok(n @ 1..) = io.read(&mut buffer).await {
                match left.checked_sub(n) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        let _ = timeout(LINGER, pin!(rest)).await;
    }
}
