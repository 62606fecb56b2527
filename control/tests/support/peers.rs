//! The other sides of channels: a mail server and a web server, small but real, that keep what they were sent.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A mail that came.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
    pub user: Option<String>,
}

/// A server that speaks SMTP and refuses recipients of its choice.
pub struct MailServer {
    pub port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
    refused: Arc<Mutex<Option<String>>>,
}

impl MailServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mails, refused) = (Arc::default(), Arc::default());
        let (to, no) = (Arc::clone(&mails), Arc::clone(&refused));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (to, no) = (Arc::clone(&to), Arc::clone(&no));
                std::thread::spawn(move || drop(converse(&stream, &to, &no)));
            }
        });
        Self { port, mails, refused }
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }

    /// From now on each mail is refused with these words, or none.
    pub fn refuse(&self, words: Option<&str>) {
        *self.refused.lock().unwrap() = words.map(Into::into);
    }
}

fn converse(stream: &TcpStream, mails: &Mutex<Vec<Mail>>, refused: &Mutex<Option<String>>) -> std::io::Result<()> {
    let mut out = stream;
    let mut lines = BufReader::new(stream);
    let mut mail = Mail { from: String::new(), to: vec![], data: String::new(), user: None };
    out.write_all(b"220 test ESMTP\r\n")?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let words = line.trim_end().to_owned();
        let verb = words.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN".to_owned(),
            "AUTH" => {
                use base64::Engine as _;
                let sent = words.rsplit(' ').next().unwrap_or_default();
                let plain = base64::engine::general_purpose::STANDARD.decode(sent).unwrap_or_default();
                mail.user = Some(String::from_utf8_lossy(&plain).replace('\0', "/"));
                "235 welcome".to_owned()
            }
            "MAIL" => {
                mail.from = words;
                "250 ok".to_owned()
            }
            "RCPT" => match refused.lock().unwrap().clone() {
                Some(why) => why,
                None => {
                    mail.to.push(words);
                    "250 ok".to_owned()
                }
            },
            "DATA" => {
                out.write_all(b"354 go on\r\n")?;
                loop {
                    let mut line = String::new();
                    lines.read_line(&mut line)?;
                    if line == ".\r\n" {
                        break;
                    }
                    mail.data.push_str(&line);
                }
                mails.lock().unwrap().push(mail.clone());
                "250 kept as 42".to_owned()
            }
            "QUIT" => {
                out.write_all(b"221 bye\r\n")?;
                return Ok(());
            }
            _ => "250 ok".to_owned(),
        };
        out.write_all(format!("{answer}\r\n").as_bytes())?;
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Posted {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Posted {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A server that takes POSTs and answers as it was told to, one answer after the other; after the last it answers 200.
pub struct WebServer {
    pub url: String,
    posted: Arc<Mutex<Vec<Posted>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl WebServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (posted, answers) = (Arc::default(), Arc::default());
        let (to, say) = (Arc::clone(&posted), Arc::clone(&answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = take(&stream, &to, &say);
            }
        });
        Self { url, posted, answers }
    }

    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }

    /// The next answer, such as `503 Service Unavailable`, with more lines of the head if it has any.
    pub fn answer(&self, head: &str) {
        self.answers.lock().unwrap().push_back(head.to_owned());
    }
}

fn take(stream: &TcpStream, posted: &Mutex<Vec<Posted>>, answers: &Mutex<VecDeque<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut first = String::new();
    lines.read_line(&mut first)?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = vec![];
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(n, _)| n == "content-length").and_then(|(_, v)| v.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    lines.read_exact(&mut body)?;
    posted.lock().unwrap().push(Posted { path, headers, body: String::from_utf8(body).unwrap() });
    let head = answers.lock().unwrap().pop_front().unwrap_or_else(|| "200 OK".into());
    let mut out = stream;
    let said = "said\u{0}so";
    out.write_all(
        format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{said}", said.len()).as_bytes(),
    )
}
