//! Endpoints that nobody should have to suffer from but their own jobs. They run on a thread of their own, so that they do not
//! hold up the clients that measure.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The ways to be hostile.
#[derive(Clone, Copy)]
enum Manner {
    /// As a good one does, to compare with.
    Answers,
    Hangs,
    AnswersTooMuch,
    AnswersGarbage,
    Redirects,
}

/// Every endpoint, with what it does.
pub(crate) async fn all() -> Vec<(&'static str, String)> {
    let mut endpoints = Vec::new();
    for (what, manner) in [
        ("answers at once", Manner::Answers),
        ("hangs", Manner::Hangs),
        ("answers 10 GB", Manner::AnswersTooMuch),
        ("answers garbage", Manner::AnswersGarbage),
        ("redirects to 169.254.169.254", Manner::Redirects),
    ] {
        endpoints.push((what, open(manner).await));
    }
    endpoints
}

/// A route to it. Private addresses are allowed, or nothing would get there.
pub(crate) fn route(url: &str) -> String {
    format!(
        "[[routes]]\nname = \"hostile\"\non = [\"message.received\"]\nhandler = \"http\"\nurl = \"{url}\"\n\
         allow_private = true\ntimeout = \"2s\"\n"
    )
}

async fn open(manner: Manner) -> String {
    let (told, url) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(format!("http://{}/", listener.local_addr().unwrap())).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, manner));
            }
        });
    });
    url.await.unwrap()
}

async fn serve(mut socket: TcpStream, manner: Manner) {
    let mut request = vec![0; 65_536];
    while socket.read(&mut request).await.is_ok_and(|read| read > 0) {
        let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
        let answer = match manner {
            Manner::Answers => format!("{json}content-length: 2\r\n\r\n{{}}"),
            Manner::Hangs => return std::future::pending().await,
            Manner::AnswersTooMuch => format!("{json}content-length: 10000000000\r\n\r\n"),
            Manner::AnswersGarbage => format!("{json}content-length: 6\r\n\r\n<html>"),
            Manner::Redirects => {
                "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
                    .to_owned()
            }
        };
        let mut open = socket.write_all(answer.as_bytes()).await.is_ok();
        while open && matches!(manner, Manner::AnswersTooMuch) {
            open = socket.write_all(&request).await.is_ok();
        }
    }
}
