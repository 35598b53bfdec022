//! The PROXY protocol, version 2: a load balancer in front says who the client is.
//!
//! The header stands before everything else that the client sends, encryption included. Where it is expected it must come:
//! otherwise anyone could say anything. Version 1, a line of text, is not spoken.
//! Source: HAProxy's `proxy-protocol.txt`, section 2.2.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt;

use super::stream::Socket;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const HEADER: usize = 16;
/// Longest rest of a header that is read: addresses and what a balancer adds of TLS and itself.
const MAX_REST: usize = 4096;

/// Version 2, and the commands: a health check of the balancer's own, or a client's connection.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// Families, each over TCP.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// Reads the header: the same connection, with the address of the client. Not cancel safe: the socket is lost.
///
/// # Errors
/// There is no such header, or it is malformed.
pub async fn accept(mut socket: Socket) -> io::Result<Socket> {
    let mut header = [0; HEADER];
    socket.read_exact(&mut header).await?;
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if header[..12] != SIGNATURE || length > MAX_REST {
        return Err(malformed());
    }
    let mut rest = vec![0; length];
    socket.read_exact(&mut rest).await?;
    let peer = source(header[12], header[13], &rest)?;
    Ok(match (socket, peer) {
        (Socket::Tcp(tcp), Some(peer)) => Socket::Proxied(tcp, peer),
        (socket, _) => socket,
    })
}

/// The client's address; `None`: the balancer speaks for itself, or the client has none.
fn source(command: u8, family: u8, rest: &[u8]) -> io::Result<Option<SocketAddr>> {
    match (command, family) {
        (LOCAL, _) => Ok(None),
        (PROXY, TCP4) => {
            let (addresses, _) = rest.split_first_chunk::<12>().ok_or_else(malformed)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            let port = u16::from_be_bytes([high, low]);
            Ok(Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port)))
        }
        (PROXY, TCP6) => {
            let (addresses, _) = rest.split_first_chunk::<36>().ok_or_else(malformed)?;
            let (ip, others) = addresses.split_first_chunk::<16>().ok_or_else(malformed)?;
            let port = u16::from_be_bytes([others[16], others[17]]);
            Ok(Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(*ip)), port)))
        }
        (PROXY, _) => Ok(None),
        _ => Err(malformed()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no PROXY protocol header of version 2")
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    async fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        client.write_all(bytes).await?;
        drop(client);
        let mut socket = accept(Socket::Pipe(server)).await?;
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await?;
        Ok(rest)
    }

    #[test]
    fn sources() {
        let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0x15, 0x38];
        assert_eq!(source(PROXY, TCP4, &v4).expect("whole"), Some("192.0.2.7:12345".parse().expect("an address")));
        let mut v6 = [0; 40];
        v6[15] = 1;
        v6[33] = 80;
        assert_eq!(source(PROXY, TCP6, &v6).expect("whole"), Some("[::1]:80".parse().expect("an address")));
        assert_eq!(source(PROXY, 0x31, &[0; 216]).expect("a Unix socket"), None);
        assert_eq!(source(LOCAL, 0, &[]).expect("a health check"), None);
        for (command, family, rest) in
            [(PROXY, TCP4, &v4[..11]), (PROXY, TCP6, &v6[..35]), (0x22, TCP4, &v4), (0x11, TCP4, &v4)]
        {
            assert!(source(command, family, rest).is_err());
        }
    }

    #[tokio::test]
    async fn what_follows_is_the_clients() {
        let rest = [192, 0, 2, 7, 10, 0, 0, 1, 0, 1, 0, 2, 3, 0, 1, 9];
        let sent = [header(PROXY, TCP4, &rest), b"hello".to_vec()].concat();
        assert_eq!(read(&sent).await.expect("well formed"), b"hello");
        for bad in [
            &b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n"[..],
            &header(PROXY, TCP4, &rest)[..20],
            &[&SIGNATURE[..], &[PROXY, TCP4, 0xff, 0xff]].concat(),
            b"",
        ] {
            assert!(read(bad).await.is_err(), "{bad:?}");
        }
    }
}
