//! The server in this process, asked over a socket, on ledgers that the tests write themselves.

#[cfg(test)]
mod access;
#[cfg(test)]
mod answer_cache;
#[cfg(test)]
mod asked;
#[cfg(test)]
mod gap;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod history;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod live;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod redis_cache;
#[cfg(test)]
#[path = "../../../tests/support/redis.rs"]
mod redis_server;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod request_guard;
#[cfg(test)]
mod script;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod suggest;
#[cfg(test)]
mod surface;
#[cfg(test)]
mod untrusted;
