//! The node's network: one network namespace per data directory, invisible on the machine.
//!
//! Everything the node needs from the kernel (interfaces of pods, routes, nft rules, forwarding)
//! lives in that namespace; the machine's own interfaces, rules and settings are never touched, and
//! two instances may use the same addresses. The price: pods and Services are not reachable by an
//! ordinary socket of the machine. Whoever needs them asks here: [`Network::connect`] makes a
//! connection *from* the namespace, [`Network::listen`] accepts connections *of* pods.
//!
//! Pods have no bridge: one pair of interfaces each, a /32 address, and the default route through
//! [`GATEWAY`], an address of the node's loopback. There is no way out to the machine's networks;
//! see `docs/decisions/0003-node-network.md`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use pilotis_sandbox::netns;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

/// Next hop of every pod.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// Why the network could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The namespace could not be made or entered.
    #[error("cannot use the node's network namespace {path}")]
    Namespace {
        /// Its name.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `ip` or `nft` refused.
    #[error("`{program}` failed: {message}")]
    Command {
        /// Which program.
        program: &'static str,
        /// What it said.
        message: String,
    },
    /// Every pod address is taken.
    #[error("no address left in {0}")]
    Full(Range),
}

/// A range of IPv4 addresses, such as `10.244.0.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    first: Ipv4Addr,
    prefix: u8,
}

/// Text that is not a range of addresses.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an address range such as 10.244.0.0/24")]
pub struct RangeError(String);

impl std::str::FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let wrong = || RangeError(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        if !(8..=30).contains(&prefix) {
            return Err(wrong());
        }
        let first = Ipv4Addr::from(u32::from(address) & (u32::MAX << (32 - prefix)));
        Ok(Range { first, prefix })
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.first, self.prefix)
    }
}

impl Range {
    /// The `index`-th address, counted from the range's own (index 0 names the network).
    pub fn address(&self, index: u32) -> Option<Ipv4Addr> {
        let size = 1_u32 << (32 - self.prefix);
        (index < size - 1).then(|| Ipv4Addr::from(u32::from(self.first) + index))
    }

    /// Whether an address lies in the range.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) >> (32 - self.prefix) == u32::from(self.first) >> (32 - self.prefix)
    }
}

/// Addresses the network is made of.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Pods; the first address is the node's own.
    pub pods: Range,
    /// Virtual addresses of Services.
    pub services: Range,
    /// The Service address at which the node's name server listens.
    pub dns: Ipv4Addr,
}

/// The node's network namespace.
#[derive(Debug)]
pub struct Network {
    path: PathBuf,
    addresses: Addresses,
    taken: Mutex<BTreeSet<Ipv4Addr>>,
}

impl Network {
    /// Makes the namespace at `path`, or finds it again after a restart.
    ///
    /// # Errors
    /// When the kernel refuses or `ip` is missing.
    pub fn open(path: &Path, addresses: Addresses) -> Result<Self, NetworkError> {
        let network = Network {
            path: path.to_owned(),
            addresses,
            taken: Mutex::new(BTreeSet::new()),
        };
        if !netns::exists(path) {
            netns::create(path).map_err(|source| network.unusable(source))?;
        }
        network.configure()?;
        Ok(network)
    }

    /// File that names the namespace.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The address of the node, as pods see it.
    pub fn node_address(&self) -> Ipv4Addr {
        self.addresses.pods.address(1).unwrap_or(GATEWAY)
    }

    /// The addresses the network was made of.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Opens a connection from the node to a pod, a Service or the node itself.
    ///
    /// # Errors
    /// As a connection does.
    pub async fn connect(&self, to: SocketAddrV4) -> io::Result<TcpStream> {
        let socket = netns::enter(&self.path, TcpSocket::new_v4)?;
        socket.connect(SocketAddr::V4(to)).await
    }

    /// Listens on an address of the node for connections of pods; port 0 chooses one.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn listen(&self, address: Ipv4Addr, port: u16) -> io::Result<TcpListener> {
        let socket = netns::enter(&self.path, || {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(SocketAddr::from((address, port)))?;
            Ok(socket)
        })?;
        socket.listen(1024)
    }

    /// Receives datagrams at an address of the node.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn datagrams(&self, address: Ipv4Addr, port: u16) -> io::Result<UdpSocket> {
        let socket = netns::enter(&self.path, || {
            let socket = std::net::UdpSocket::bind((address, port))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })?;
        UdpSocket::from_std(socket)
    }

    /// Replaces the node's nft rules by these, in one transaction.
    ///
    /// # Errors
    /// With what `nft` said.
    pub fn apply_rules(&self, rules: &str) -> Result<(), NetworkError> {
        self.command(&self.path, "nft", &["-f", "-"], rules)
    }

    /// Notes that a pod of before the restart has this address.
    pub fn keep(&self, address: Ipv4Addr) {
        self.lock().insert(address);
    }

    /// Takes a free address for a pod.
    ///
    /// # Errors
    /// When none is left.
    pub fn take(&self) -> Result<Ipv4Addr, NetworkError> {
        let mut taken = self.lock();
        let free = (2..)
            .map_while(|index| self.addresses.pods.address(index))
            .find(|address| !taken.contains(address))
            .ok_or(NetworkError::Full(self.addresses.pods))?;
        taken.insert(free);
        Ok(free)
    }

    /// Gives an address back; its interface vanished with the pod's namespace.
    pub fn give_back(&self, address: Ipv4Addr) {
        self.lock().remove(&address);
    }

    /// Connects the network namespace of process `holder` as `address`.
    ///
    /// # Errors
    /// With what `ip` said.
    pub fn attach(&self, holder: i32, address: Ipv4Addr) -> Result<(), NetworkError> {
        let name = interface(address);
        let node = self.node_address();
        let outside = format!(
            "link add {name} type veth peer name eth0 netns {holder}\n\
             link set {name} up\n\
             route replace {address}/32 dev {name} src {node}\n"
        );
        self.command(&self.path, "ip", &["-batch", "-"], &outside)?;
        let inside = format!(
            "link set lo up\n\
             link set eth0 up\n\
             address add {address}/32 dev eth0\n\
             route add {GATEWAY}/32 dev eth0 scope link\n\
             route add default via {GATEWAY} dev eth0\n"
        );
        let pod = PathBuf::from(format!("/proc/{holder}/ns/net"));
        self.command(&pod, "ip", &["-batch", "-"], &inside)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<Ipv4Addr>> {
        self.taken
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Idempotent: `replace` and a setting may be repeated.
    fn configure(&self) -> Result<(), NetworkError> {
        let Addresses { services, dns, .. } = self.addresses;
        let node = self.node_address();
        let batch = format!(
            "link set lo up\n\
             address replace {GATEWAY}/32 dev lo\n\
             address replace {node}/32 dev lo\n\
             address replace {dns}/32 dev lo\n\
             route replace {services} dev lo src {node}\n"
        );
        self.command(&self.path, "ip", &["-batch", "-"], &batch)?;
        netns::enter(&self.path, || {
            fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
            // Datagrams and connections to Services are rewritten before they would be dropped.
            fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0")
        })
        .map_err(|source| self.unusable(source))
    }

    fn command(
        &self,
        namespace: &Path,
        program: &'static str,
        arguments: &[&str],
        input: &str,
    ) -> Result<(), NetworkError> {
        let output = netns::enter(namespace, || {
            let mut child = Command::new(program)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(input.as_bytes())?;
            }
            child.wait_with_output()
        })
        .map_err(|source| NetworkError::Command {
            program,
            message: source.to_string(),
        })?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(NetworkError::Command { program, message })
    }

    fn unusable(&self, source: io::Error) -> NetworkError {
        NetworkError::Namespace {
            path: self.path.clone(),
            source,
        }
    }
}

/// Name of a pod's interface on the node's side (at most 15 bytes).
fn interface(address: Ipv4Addr) -> String {
    let [_, b, c, d] = address.octets();
    format!("pod-{b:02x}{c:02x}{d:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_bounded() {
        let range: Range = "10.244.3.7/24".parse().unwrap();
        assert_eq!(range.to_string(), "10.244.3.0/24");
        assert_eq!(range.address(254), Some(Ipv4Addr::new(10, 244, 3, 254)));
        assert_eq!(range.address(255), None);
        assert!(range.contains(Ipv4Addr::new(10, 244, 3, 200)));
        for wrong in ["10.0.0.0", "10.0.0.0/31", "x/24", "10.0.0.0/x"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }
}
