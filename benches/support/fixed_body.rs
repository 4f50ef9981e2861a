//! The daemon's server without the daemon: reads a POST whole and answers with a body of so many
//! bytes. What `/v1/resolve` is held against by `benches/daemon.py`: `fixed_body ADDRESS BYTES`

use std::error::Error;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::ServiceExt;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().ok_or("no address")?;
    let size: usize = args.next().ok_or("no size")?.parse()?;
    let body = Bytes::from(vec![b'x'; size]);
    let answer = async move |_: Bytes| ([(CONTENT_TYPE, "application/json")], body.clone());
    let router = Router::new().route("/", post(answer));
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = router
            .clone()
            .map_request(|request: hyper::Request<Incoming>| request.map(Body::new));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .half_close(false)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        tokio::spawn(connection);
    }
}
