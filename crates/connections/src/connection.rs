//! One connection: its requests go to the routes, within the limits of its listener.

use crate::{
    activity::{Activity, Verdict},
    limits::{ConnectionLimits, Place, Places},
    watched_stream::WatchedStream,
};
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, StatusCode, Uri, Version, header},
    response::Response,
};
use botops_findings::Fault;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    convert::Infallible,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Handle,
    sync::{mpsc, watch},
    time::{sleep_until, timeout},
};
use tower::Service as _;

/// The window of one request with HTTP/2, in bytes: a body fits.
const STREAM_WINDOW: u32 = 128 << 10;
/// The window of a connection with HTTP/2, in bytes.
const CONNECTION_WINDOW: u32 = 512 << 10;
/// The largest frame of HTTP/2, in bytes.
const FRAME: u32 = 16 << 10;
/// The most bytes of answers that wait for a client of HTTP/2, by request.
const SEND_BUFFER: usize = 64 << 10;
/// The most requests that a client of HTTP/2 may reset before the server has seen them (rapid reset).
const PENDING_RESETS: usize = 20;
/// The most requests that the server may reset for the faults of a client of HTTP/2.
const OWN_RESETS: usize = 64;

/// The most bytes of a body that are read and dropped after a request was refused, with HTTP/2: as many as a client may send
/// before it hears from the server, and as many again.
const MOST_DRAINED: usize = 2 * STREAM_WINDOW as usize;
/// The longest time for which they are read.
const LONGEST_DRAIN: Duration = Duration::from_secs(5);

/// The protocols of a listener, with its limits.
pub(crate) type Protocols = auto::Builder<TokioExecutor>;

/// Returns the protocols of a listener with the limits of `places`.
pub(crate) fn protocols(places: &Places) -> Protocols {
    let limits = &places.limits;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The activity of the connection is measured instead, which tells an idle client from a slow one.
        .header_read_timeout(None)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(OWN_RESETS);
    builder
}

/// The facts about a connection that each of its requests carries.
pub trait Mark: Clone + Send + Sync + 'static {
    /// Adds them to `request`.
    fn put(&self, request: &mut Request);
}

/// Serves the requests on `stream` until the client closes it, a limit is reached, or `stop` and the answers are written.
pub(crate) async fn serve_connection<S, M>(
    stream: S,
    protocols: &Protocols,
    stay: Stay,
    routes: Router,
    mark: M,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    M: Mark,
{
    let places = Arc::clone(stay.place.places());
    let activity = Arc::clone(&stay.activity);
    let mut stop = stay.stop.clone();
    let stream = WatchedStream::new(stream, Arc::clone(&activity), places.limits.header_bytes);
    let requests = Requests { routes, mark, stay: stay.clone(), places: Arc::clone(&places) };
    let service = hyper::service::service_fn(move |request| requests.clone().answer(request));
    let mut connection =
        pin!(protocols.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut stopped = pin!(stop.wait_for(|stop| *stop));
    let mut timer = pin!(sleep_until(Instant::now().into()));
    let mut is_stopping = false;
    let cut = poll_fn(|cx| {
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            if !is_stopping && stopped.as_mut().poll(cx).is_ready() {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
                continue;
            }
            let now = Instant::now();
            match activity.verdict(&places.limits, now) {
                Verdict::Cut(cut) => return Poll::Ready(Some(cut.name())),
                Verdict::Goes(left) => {
                    let next = tokio::time::Instant::from_std(now + left);
                    if next < timer.deadline() || timer.is_elapsed() {
                        timer.as_mut().reset(next);
                    }
                    if timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    });
    let cut = cut.await;
    let metrics = places.keeper.metrics();
    if activity.is_malformed() {
        metrics.cut(places.listener, "malformed");
    } else if let Some(reason) = cut {
        metrics.cut(places.listener, reason);
    }
    drop(stay);
}

/// The stay of a connection: its place, for as long as a clone of this is there. A request that asks for another protocol
/// carries it, so that the connection keeps its place, and the listener waits for it, after the upgrade.
#[derive(Clone)]
pub struct Stay {
    place: Arc<Place>,
    activity: Arc<Activity>,
    stop: watch::Receiver<bool>,
    /// The listener waits until all of these are dropped.
    _inside: mpsc::Sender<Infallible>,
}

impl Stay {
    /// Begins the stay of a connection that has `place`, until `stop`.
    pub(crate) fn begin(
        place: Place,
        stop: watch::Receiver<bool>,
        inside: mpsc::Sender<Infallible>,
    ) -> Self {
        let activity = Arc::new(Activity::begin(Instant::now()));
        Self { place: Arc::new(place), activity, stop, _inside: inside }
    }

    /// Waits until the server stops.
    pub async fn stopped(&mut self) {
        // A server that is gone has stopped, too.
        let _ = self.stop.wait_for(|stop| *stop).await;
    }

    /// Returns whether the server stops.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Returns the limits of the listener.
    #[must_use]
    pub fn limits(&self) -> &ConnectionLimits {
        &self.place.places().limits
    }

    /// Counts the connection as one that was cut off for `reason`.
    pub fn cut(&self, reason: &'static str) {
        let places = self.place.places();
        places.keeper.metrics().cut(places.listener, reason);
    }
}

/// The requests of one connection.
#[derive(Clone)]
struct Requests<M> {
    routes: Router,
    mark: M,
    stay: Stay,
    places: Arc<Places>,
}

impl<M: Mark> Requests<M> {
    async fn answer(mut self, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
        self.stay.activity.request_began();
        let in_flight = InFlight(Arc::clone(&self.stay.activity));
        let is_read = Arc::new(AtomicBool::new(request.body().is_end_stream()));
        let drains = request.version() == Version::HTTP_2;
        let mut request = request.map(|body| {
            Body::new(Reading { body: Some(body), is_read: Arc::clone(&is_read), drains })
        });
        self.mark.put(&mut request);
        if request.headers().contains_key(header::UPGRADE) {
            request.extensions_mut().insert(self.stay.clone());
        }
        let limits = &self.places.limits;
        let response = if length(request.uri()) > limits.uri_bytes {
            self.refuse(too_long_uri(limits.uri_bytes))
        } else {
            let answer = self.routes.call(request);
            match limits.request_timeout {
                None => answer.await.unwrap_or_else(|never| match never {}),
                Some(limit) => match timeout(limit, answer).await {
                    Ok(answer) => answer.unwrap_or_else(|never| match never {}),
                    Err(_) => self.refuse(too_late(is_read.load(Ordering::Relaxed))),
                },
            }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.stay.activity.upgrade();
        }
        Ok(response.map(|body| Answer::new(body, in_flight)))
    }

    fn refuse(&self, (status, fault): (StatusCode, Fault)) -> Response {
        let mut response = self.places.keeper.refuse(status, fault);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Returns the length of a URI without its scheme.
fn length(uri: &Uri) -> usize {
    let authority = uri.authority().map_or(0, |it| it.as_str().len());
    authority + uri.path_and_query().map_or(0, |it| it.as_str().len())
}

fn too_long_uri(most: usize) -> (StatusCode, Fault) {
    let fault = Fault::usage("BOT-6098", format!("the URI is longer than {most} bytes"))
        .hint("send data in the body of a request");
    (StatusCode::URI_TOO_LONG, fault)
}

/// The fault of a request that took too long: its client was too slow, or the server was.
fn too_late(is_read: bool) -> (StatusCode, Fault) {
    if is_read {
        let fault = Fault::unreachable("BOT-6097", "the request was not answered in time")
            .hint("the server has too much to do: try again later, and less often");
        return (StatusCode::SERVICE_UNAVAILABLE, fault);
    }
    let fault = Fault::usage("BOT-6012", "the body did not come in time")
        .hint("send the body at once after the head");
    (StatusCode::REQUEST_TIMEOUT, fault)
}

/// The body of a request. It notes its end.
struct Reading {
    /// There until this is dropped.
    body: Option<Incoming>,
    is_read: Arc<AtomicBool>,
    /// Whether a rest that nobody reads is read and dropped. With HTTP/2 the stream would be reset instead, which clients
    /// take for a failure while they send, although they have the answer.
    drains: bool,
}

impl Drop for Reading {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| self.drains && !body.is_end_stream());
        if let (Some(rest), Ok(threads)) = (rest, Handle::try_current()) {
            threads.spawn(drain(rest));
        }
    }
}

/// Reads and drops the rest of a body, up to its bounds.
async fn drain(mut body: Incoming) {
    let read = async {
        let mut left = MOST_DRAINED;
        while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let n_bytes = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(n_bytes) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // A client that is slower is cut off as before.
    let _ = timeout(LONGEST_DRAIN, read).await;
}

impl HttpBody for Reading {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(&mut *body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) || body.is_end_stream() {
            self.is_read.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

/// A request in flight, until this is dropped.
struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

/// The body of an answer. It notes what the connection takes of it.
struct Answer {
    body: Body,
    is_waiting: bool,
    in_flight: InFlight,
}

impl Answer {
    fn new(body: Body, in_flight: InFlight) -> Self {
        in_flight.0.body_began();
        Self { body, is_waiting: false, in_flight }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let was_waiting = std::mem::replace(&mut self.is_waiting, frame.is_pending());
        self.in_flight.0.body_asked(was_waiting, self.is_waiting);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.in_flight.0.body_ended(self.is_waiting);
    }
}
