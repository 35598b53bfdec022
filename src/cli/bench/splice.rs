//! The floor: bytes copied between a client and a server, and nothing else.

use clap::Args;
use tokio::net::{TcpListener, TcpStream};

/// Arguments of `bench splice`.
#[derive(Args, Debug)]
pub(super) struct SpliceArgs {
    /// Port to listen on
    listen: u16,
    /// Port to connect to
    target: u16,
}

/// Runs until it is ended.
///
/// # Errors
/// The port cannot be listened on.
pub(super) async fn run(args: &SpliceArgs) -> Result<(), String> {
    let listener = TcpListener::bind(("127.0.0.1", args.listen)).await.map_err(|e| format!("cannot listen: {e}"))?;
    let target = args.target;
    loop {
        let Ok((mut client, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            let mut server = TcpStream::connect(("127.0.0.1", target)).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
    }
}
